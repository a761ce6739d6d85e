"""A person walks through the hub's page, and sees what is so."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.acceptance.commands import until
from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy
from tests.acceptance.site import READINGS, Site
from tests.browser.axe import grave_faults
from tests.browser.conftest import Visit
from tests.browser.tables import merge_orders

pytestmark = pytest.mark.xdist_group("browser")

PHONE = {"viewport": {"width": 375, "height": 740}, "has_touch": True, "is_mobile": True}

TOO_WIDE = """() => document.documentElement.scrollWidth <= 375 ? [] :
    [...document.querySelectorAll('body *')].filter((each) => each.getBoundingClientRect().right > 375)
        .map((each) => `${each.tagName} ${each.className}`)"""
"""What sticks out, if the page can be moved sideways; what scrolls within itself does not stick out."""


@pytest.fixture(autouse=True)
def _patience() -> None:
    expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def orders(hub: Hub, site: Site) -> str:
    """A merged table."""
    hub.add_site("reservoir-2")
    until("the site has delivered", lambda: any(line["stored"] for line in hub.completeness(site.name).values()))
    merge_orders(hub.data, time.time_ns() // 1000 - 60_000_000)
    return "orders"


def table_pages(orders: str) -> tuple[str, ...]:
    row = f"/tables/{orders}/row?key=%5B117%5D"
    return "/tables", f"/tables/{orders}", row, "/conflicts", "/conflicts/1", f"/misfits?table={orders}"


def row(page: Page, site: Site) -> Locator:
    return page.locator(f"#site-{site.name}")


def background(page: Page) -> str:
    found: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return found


def test_signing_in_says_what_is_wrong_and_leads_where_one_wanted(visit: Visit, hub: Hub, site: Site) -> None:
    page = visit(f"/sites/{site.name}", signed_in=False)
    assert grave_faults(page) == []
    page.get_by_label("API token").fill("fsh_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not known here")
    page.get_by_label("API token").fill(hub.token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(site.name)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_from_the_fleet_down_to_the_hours_of_a_stream(visit: Visit, hub: Hub, site: Site, folder: Path) -> None:
    page = visit("/")
    expect(row(page, site)).to_contain_text("complete")
    expect(row(page, site).locator(".ribbon")).to_have_attribute("data-runs", re.compile(r"^[a-z]\d"))
    assert grave_faults(page) == []
    page.get_by_role("link", name=site.name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(site.name)
    numbers = [int(re.sub(r"\D", "", each)) for each in page.locator(".sum b").all_inner_texts()]
    assert numbers[0] == sum(numbers[1:]) >= 120
    expect(page.locator(".chart canvas")).to_be_visible()
    assert grave_faults(page) == []
    expect(page.locator("#site-losses")).to_contain_text("stored or on its way")
    page.get_by_role("link", name="Statement").click()
    assert grave_faults(page) == []
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    download.value.save_as(folder / "statement.json")
    (folder / "hub.pem").write_text(hub.do("statement", "key").out)
    said = hub.do("statement", "verify", str(folder / "statement.json"), "--key", str(folder / "hub.pem"), "--json")
    assert said.json["site"] == site.name
    page.get_by_role("link", name="Back").click()
    page.get_by_role("link", name=READINGS).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(READINGS)
    page.get_by_role("link", name="7 days").click()
    expect(page.locator(".ribbon").first).to_have_class(re.compile("h168"))
    assert grave_faults(page) == []
    page.go_back()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text(site.name)


def test_what_is_searched_for_stands_in_the_url(visit: Visit, site: Site) -> None:
    page = visit("/")
    page.get_by_label("Site", exact=True).fill("nobody-is-called-so")
    expect(page.get_by_text("No site is like that")).to_be_visible()
    assert "search=nobody-is-called-so" in page.url
    page.get_by_label("Site", exact=True).fill(site.name[:6])
    expect(row(page, site)).to_be_visible()
    page.get_by_role("combobox", name="State", exact=True).select_option("gap")
    expect(page.get_by_text("No site is like that")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Site", exact=True)).to_have_value(site.name[:6])
    expect(page.get_by_role("combobox", name="State", exact=True)).to_have_value("gap")


def test_a_cut_link_and_new_records_are_seen_without_a_reload(visit: Visit, site: Site, link: Proxy) -> None:
    page = visit("/")
    deeper = page.context.new_page()
    deeper.goto(f"/sites/{site.name}")
    for each in (page, deeper):
        each.evaluate("window.loaded = 'once'")
        expect(each.locator("#live")).to_have_text("Live")
    expect(row(page, site)).to_contain_text("complete")
    before = int(re.sub(r"\D", "", deeper.locator(".b-stored b").inner_text()))
    link.cut()
    expect(row(page, site)).to_contain_text("silent")
    expect(deeper.locator("#site-state")).to_have_text("silent")
    site.must_post(80)
    link.restore()
    expect(row(page, site)).to_contain_text("complete")
    expect(deeper.locator(".b-stored b")).to_have_text(str(before + 80))
    assert [each.evaluate("window.loaded") for each in (page, deeper)] == ["once", "once"]


def test_on_a_phone_nothing_is_wider_than_the_screen(visit: Visit, site: Site, orders: str) -> None:
    page = visit("/", **PHONE)
    own = (f"/sites/{site.name}", f"/sites/{site.name}/streams/{READINGS}", f"/sites/{site.name}/statement")
    for path in ("/", *own, *table_pages(orders)):
        page.goto(path)
        page.locator("h1").wait_for()
        page.evaluate("document.fonts.ready.then(() => true)")
        assert page.evaluate(TOO_WIDE) == [], path
        assert grave_faults(page) == [], path


def test_dark_follows_the_system_and_the_switch_and_is_as_readable(visit: Visit, site: Site, orders: str) -> None:
    page = visit("/", color_scheme="dark")
    dark = background(page)
    for path in ("/", f"/sites/{site.name}", f"/sites/{site.name}/statement", *table_pages(orders)):
        page.goto(path)
        assert grave_faults(page) == [], path
    switch = page.get_by_role("button", name="Theme")
    switch.click()
    assert background(page) != dark
    page.reload()
    assert background(page) != dark
    switch.click()
    assert background(page) == dark


def test_lost_values_are_put_back_and_resolved_and_misfits_mapped(visit: Visit, orders: str) -> None:
    page = visit("/")
    page.get_by_role("link", name="Tables").click()
    page.get_by_role("link", name=orders, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(orders)
    assert grave_faults(page) == []
    page.get_by_label("Key").fill("11")
    expect(page.locator("tbody tr")).to_have_count(11)  # 11, and 110 to 119
    assert "search=11" in page.url
    page.get_by_role("link", name="117").click()
    expect(page.get_by_role("region", name="Cells of the row")).to_contain_text("Köln")
    page.goto(f"/conflicts?table={orders}&column=stock&state=open")
    expect(page.locator("tbody tr")).to_have_count(100)
    page.get_by_role("link", name="Older").click()
    expect(page.locator("tbody tr")).to_have_count(20)
    page.locator("tbody a").first.click()
    expect(page.locator(".lead")).to_contain_text("somebody has to decide")
    assert grave_faults(page) == []
    page.get_by_label("Value, as JSON").fill("7")
    page.get_by_role("button", name="Resolve").click()
    expect(page.locator(".title")).to_contain_text("resolved")
    page.goto(f"/conflicts?table={orders}&column=city")
    page.locator("tbody a").first.click()
    page.get_by_role("button", name="Put the lost value back").click()
    expect(page.locator(".title")).to_contain_text("undone")
    page.goto(f"/misfits?table={orders}")
    expect(page.locator("tbody")).to_contain_text("its value of stock is not integer")
    assert grave_faults(page) == []
    page.get_by_label("Column", exact=True).fill("stock")
    page.get_by_role("combobox").select_option("default")
    page.get_by_label("Other column, or default").fill("0")
    page.get_by_role("button", name="Declare").click()
    expect(page.locator("tbody")).to_contain_text("default 0")
    expect(page.get_by_text("Everything fits.")).to_be_visible()


def test_a_viewer_sees_what_has_lost_and_can_do_nothing(visit: Visit, hub: Hub, orders: str) -> None:
    token = hub.do("token", "add", "vera", "--role", "viewer", "--json").json["token"]
    page = visit(f"/conflicts?table={orders}", signed_in=False)
    page.get_by_label("API token").fill(token)
    page.keyboard.press("Enter")
    page.locator("tbody a").first.click()
    expect(page.locator(".lead")).to_be_visible()
    assert page.get_by_role("button", name=re.compile("back|Resolve")).count() == 0
    secret = page.locator("[name=form_token]").first.get_attribute("value") or ""
    for path in (f"{page.url}/undo", f"{page.url}/resolve", f"{hub.address}/tables/{orders}/map"):
        refused = page.request.post(path, form={"form_token": secret, "column": "stock", "kind": "drop"})
        assert refused.status == 403, path
    page.goto(f"/misfits?table={orders}")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Misfits of {orders}")
    assert page.get_by_role("button", name="Declare").count() == 0


def test_everything_can_be_done_with_the_keyboard(visit: Visit, hub: Hub, site: Site) -> None:
    page = visit("/", signed_in=False)
    expect(page.get_by_label("API token")).to_be_focused()
    page.keyboard.type(hub.token)
    page.keyboard.press("Enter")
    page.locator("#fleet-rows").wait_for()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.innerText"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", reached
        if reached[-1] == site.name:
            break
    assert {"Add a site", "search", "stream", "standing", "sort", "48 h"} <= set(reached)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(site.name)


def test_a_site_is_added_and_its_token_is_shown_once(visit: Visit) -> None:
    page = visit("/")
    page.get_by_role("link", name="Add a site").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Add a site")
    page.get_by_label("Name", exact=True).fill("NOT ALLOWED")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert grave_faults(page) == []
    page.get_by_label("Name", exact=True).fill("well-12")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("pre")).to_contain_text("farshore-agent enrol fs1.")
    assert grave_faults(page) == []
    page.get_by_role("link", name="To the site").click()
    expect(page.locator("#site-state")).to_have_text("not heard yet")
    expect(page.locator("main")).not_to_contain_text("fs1.")
    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.locator("#site-state")).to_have_text("revoked")


def test_what_is_not_there_is_said(visit: Visit) -> None:
    page = visit("/")
    page.goto("/sites/nobody")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such thing here")
    assert grave_faults(page) == []
