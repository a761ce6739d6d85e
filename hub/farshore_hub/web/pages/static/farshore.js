"use strict";
// What the page does beside showing: live changes, times in the viewer's zone, hints, charts, and the theme.
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const language = navigator.language;

  // ---------------------------------------------------------------- times

  const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hour12: false });
  const dayClock = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false });
  const yearDay = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric" });
  const weekday = new Intl.DateTimeFormat(language, { weekday: "short", day: "numeric" });
  const hourOfDay = new Intl.DateTimeFormat(language, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false });

  function shownTime(at) {
    const now = new Date();
    if (at.toDateString() === now.toDateString()) return clock.format(at);
    return at.getFullYear() === now.getFullYear() ? dayClock.format(at) : yearDay.format(at);
  }

  function showTimes(within) {
    for (const each of $$("time:not([data-shown])", within)) {
      each.textContent = shownTime(new Date(each.dateTime));
      each.dataset.shown = "";
    }
  }

  function drawAxis(axis) {
    const [from, hours] = axis.dataset.axis.split(" ").map(Number);
    const narrow = axis.clientWidth < 480;
    const step = hours <= 24 ? (narrow ? 6 : 3) : hours <= 48 ? (narrow ? 12 : 6) : narrow ? 48 : 24;
    const labels = [];
    for (let hour = 0; hour < hours; hour++) {
      const at = new Date((from + hour * 3600) * 1000);
      const fits = step < 24 ? at.getHours() % step === 0 : at.getHours() === 0 && (step === 24 || at.getDate() % 2 === 0);
      if (!fits || hour > hours - hours / 24) continue;
      const label = document.createElement("span");
      label.textContent = at.getHours() === 0 ? weekday.format(at) : clock.format(at);
      label.style.left = `${(100 * hour) / hours}%`;
      labels.push(label);
    }
    axis.replaceChildren(...labels);
  }

  // ---------------------------------------------------------------- hints over hours

  const words = { c: "complete", p: "at the edge", s: "given up", g: "missing", u: "silent", n: "nothing produced" };
  const tip = () => $("#tip");

  function hint(event) {
    const ribbon = event.target.closest?.(".ribbon");
    if (!ribbon) return (tip().hidden = true);
    const box = ribbon.getBoundingClientRect();
    const hours = ribbon.viewBox.baseVal.width;
    const hour = Math.min(hours - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * hours)));
    const from = Number(ribbon.closest("[data-from]").dataset.from);
    const shown = tip();
    shown.textContent = `${hourOfDay.format(new Date((from + hour * 3600) * 1000))} · ${words[letterAt(ribbon.dataset.runs, hour)]}`;
    shown.hidden = false;
    shown.style.left = `${Math.min(event.clientX + 12, innerWidth - shown.offsetWidth - 8)}px`;
    shown.style.top = `${box.top - 28 > 0 ? box.top - 28 : box.bottom + 6}px`;
  }

  function letterAt(runs, hour) {
    for (const [, letter, count] of runs.matchAll(/([a-z])(\d+)/g)) {
      if (hour < Number(count)) return letter;
      hour -= Number(count);
    }
    return "n";
  }

  // ---------------------------------------------------------------- charts

  const charts = new Map();
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const drawnAs = { produced: "--silent", stored: "--complete", backlog: "--pending" };

  function drawChart(place) {
    charts.get(place)?.destroy();
    const { times, series } = JSON.parse(place.dataset.chart);
    const bars = uPlot.paths.bars({ size: [0.86], align: 1 });
    const steps = uPlot.paths.stepped({ align: 1 });
    const axis = { stroke: colour("--soft"), font: "12px Inter, system-ui", grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const options = {
      width: Math.max(240, place.clientWidth - 16), height: 172, cursor: { y: false, points: { show: false } },
      legend: { live: true }, scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.08)] } },
      axes: [{ ...axis, size: 28, grid: { show: false }, values: (_, all) => all.map((at) => { const time = new Date(at * 1000); return time.getHours() === 0 && time.getMinutes() === 0 ? weekday.format(time) : clock.format(time); }), space: 64 }, { ...axis, size: 64, space: 32, values: (_, all) => all.map(grouped) }],
      series: [
        { value: (_, at) => (at === null ? "" : hourOfDay.format(new Date(at * 1000))), label: "hour" },
        ...series.map(({ label, line }) => ({
          label, stroke: colour(drawnAs[label]), fill: line ? undefined : colour(drawnAs[label]), width: line ? 2 : 0,
          paths: line ? steps : bars, points: { show: false }, value: (_, count) => (count === null ? "" : grouped(count)),
        })),
      ],
    };
    charts.set(place, new uPlot(options, [times, ...series.map((each) => each.values)], place));
  }

  const grouped = (count) => (Math.abs(count) >= 1e4 ? count.toLocaleString("en").replaceAll(",", "\u202f") : String(count));

  function drawCharts() {
    for (const place of charts.keys()) if (!place.isConnected) charts.get(place).destroy(), charts.delete(place);
    for (const place of $$("[data-chart]")) drawChart(place);
  }

  // ---------------------------------------------------------------- theme

  const themes = ["system", "light", "dark"];
  const theme = () => document.documentElement.dataset.theme ?? "system";

  function choose(name) {
    if (name === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    try { localStorage.setItem("theme", name); } catch { /* no storage: for this page only */ }
    showTheme();
    drawCharts();
  }

  function showTheme() {
    const button = $("#theme");
    button.hidden = false;
    button.textContent = { system: "Auto", light: "Light", dark: "Dark" }[theme()];
    button.setAttribute("aria-label", `Theme: ${button.textContent}`);
    button.onclick = () => choose(themes[(themes.indexOf(theme()) + 1) % themes.length]);
  }

  // ---------------------------------------------------------------- live

  let source = null;
  let shownState = "";
  let again = 0;

  function say(state, text) {
    const place = $("#live");
    if (!place || place.dataset.state === state) return;
    place.dataset.state = state;
    $("span", place).textContent = text;
  }

  function listen() {
    hush();
    const place = $("#live");
    if (!place || document.hidden) return;
    const [path, query = ""] = place.dataset.live.split("?");
    source = new EventSource(`${path}?${new URLSearchParams([...new URLSearchParams(query), ["shown", shownState]])}`);
    source.onopen = () => say("live", "Live");
    source.onerror = () => {
      say("off", "Reconnecting");
      // After a refusal the browser gives up; the page does not, and is in no hurry.
      if (source.readyState === EventSource.CLOSED) again = setTimeout(listen, 10_000 + Math.random() * 10_000);
    };
    source.addEventListener("pieces", (event) => { shownState = event.lastEventId; put(JSON.parse(event.data)); });
    source.addEventListener("ended", () => { hush(); location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`); });
    source.addEventListener("failed", (event) => { hush(); say("off", JSON.parse(event.data).detail); });
  }

  function hush() {
    clearTimeout(again);
    source?.close();
    source = null;
  }

  function put({ html, lists }) {
    const fresh = new Map();
    for (const [id, text] of Object.entries(html)) {
      const made = document.createElement("template");
      made.innerHTML = text.trim();
      const element = made.content.firstElementChild;
      const old = document.getElementById(id);
      fresh.set(id, element);
      if (!old) continue;
      const focused = old.contains(document.activeElement) ? document.activeElement : null;
      old.replaceWith(element);
      if (focused) (focused === old ? element : $(`[href="${CSS.escape(focused.getAttribute("href") ?? "")}"]`, element) ?? element).focus();
    }
    for (const [id, order] of Object.entries(lists)) {
      const list = document.getElementById(id);
      // A list that the page does not have yet, or has no more: it is another page now.
      if (!list) return location.reload();
      const focused = list.contains(document.activeElement) ? document.activeElement : null;
      list.replaceChildren(...order.map((each) => fresh.get(each) ?? document.getElementById(each)).filter(Boolean));
      focused?.focus();
    }
    dress([...fresh.values()]);
  }

  // ---------------------------------------------------------------- all of it

  function dress(elements) {
    for (const element of elements) {
      htmx.process(element);
      showTimes(element);
      for (const axis of $$(".axis", element)) drawAxis(axis);
      for (const place of $$("[data-chart]", element)) drawChart(place);
    }
    for (const place of charts.keys()) if (!place.isConnected) charts.get(place).destroy(), charts.delete(place);
  }

  function begin() {
    shownState = $("#live")?.dataset.shown ?? "";
    showTheme();
    dress([document.body]);
    const zone = $(".zone");
    zone.textContent = `times in ${Intl.DateTimeFormat().resolvedOptions().timeZone}; hover for UTC`;
    zone.hidden = false;
    for (const button of $$("[data-copy]")) {
      button.hidden = !navigator.clipboard;
      button.onclick = () => navigator.clipboard.writeText($(button.dataset.copy).textContent).then(() => (button.textContent = "Copied"));
    }
    listen();
  }

  document.addEventListener("DOMContentLoaded", () => {
    begin();
    document.body.addEventListener("htmx:afterSettle", (event) => {
      if (event.target.id === "view") begin();
      if (event.target === document.body) { begin(); $("h1")?.focus({ preventScroll: true }); }
    });
    document.body.addEventListener("htmx:responseError", () => say("off", "The hub refused; reload the page"));
    document.body.addEventListener("htmx:sendError", () => say("off", "The hub does not answer"));
  });
  document.addEventListener("pointermove", hint, { passive: true });
  document.addEventListener("visibilitychange", () => (document.hidden ? hush() : listen()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCharts);
  let resized = 0;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(() => { $$(".axis").forEach(drawAxis); drawCharts(); }, 150);
  });
})();
