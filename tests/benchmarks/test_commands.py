"""Every benchmark is a command that explains itself, and what it prints can be read by machines and drawn."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.benchmarks import all as every
from tests.benchmarks import growth_plot
from tests.benchmarks.page import BEGIN, END, with_figures
from tests.benchmarks.rig.command import Benchmark, Figure

_NAMES = sorted({run.name for run in every.RUNS})


@pytest.mark.parametrize("name", _NAMES)
def test_help_says_what_is_measured_and_gives_examples_that_are_understood(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark = _benchmark(name)
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert benchmark.about.strip().splitlines()[0] in said
    for example in benchmark.examples:
        assert f"python -m tests.benchmarks.{example}" in said
        assert example.split()[0] == name
        benchmark.parser().parse_args(example.split()[1:])


@pytest.mark.parametrize("run", every.RUNS, ids=lambda run: f"{run.name} {run.options}")
def test_the_runs_of_all_are_understood(run: every.Run) -> None:
    for options in (run.options, run.quick):
        _benchmark(run.name).parser().parse_args(options.split())


def test_all_lists_its_command_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["all", "--list", "--only", "drain", "recovery"])
    assert every.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines] == [
        f"tests.benchmarks.{name}" for name in ("drain", "drain", "recovery")
    ]


def test_a_benchmark_prints_a_json_line_and_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = Benchmark(
        "some", "Says little.", [], lambda options, folder: [Figure("speed", options.records, "records/s", least=5)]
    )
    benchmark.main(["--records", "1_000"])
    line, *table = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert (said["benchmark"], said["options"]["records"], said["options"]["store"]) == ("some", 1000, "sqlite")
    assert said["figures"][0] | {"name": "speed", "value": 1000, "verdict": "reached"} == said["figures"][0]
    assert {"cpu", "cores", "load", "load_after"} <= set(said["machine"])
    assert [word for word in table[1].split() if word] == ["speed", "1,000", "records/s", "≥", "5", "reached"]
    benchmark.main(["--json"])
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_growth_is_drawn_from_the_results(tmp_path: Path) -> None:
    results, plot = tmp_path / "results.jsonl", tmp_path / "growth.svg"
    sizes = (1, 100, 10_000)
    lines = [
        {"benchmark": "drain", "figures": [{"name": "drain", "value": 3.0}]},
        {"benchmark": "sites", "figures": [{"name": "16 sites: hub RSS", "value": 9.0}]},
        {
            "benchmark": "sites",
            "figures": [{"name": f"{size:,} sites: hub RSS", "value": 100 + size} for size in sizes],
        },
        {"benchmark": "backlog", "figures": [{"name": "100,000: peak RSS while draining", "value": 50.0}]},
    ]
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert growth_plot.draw(results, plot)
    root = ET.fromstring(plot.read_text())
    circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == len(sizes) + 1
    across = [float(circle.attrib["cx"]) for circle in circles[1:]]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1])


def test_nothing_is_drawn_without_growth(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text('{"benchmark": "drain", "figures": []}\n')
    assert not growth_plot.draw(results, tmp_path / "growth.svg")
    assert not (tmp_path / "growth.svg").exists()


def test_the_page_gets_the_figures_between_its_marks_and_keeps_the_rest() -> None:
    result = {
        "benchmark": "drain",
        "at": "2026-11-26T04:00:00+00:00",
        "commit": "abc1234",
        "took_s": 3.2,
        "machine": {"cpu": "some", "cores": 2, "python": "3.11.7", "load": 0.1, "load_after": 1.2},
        "options": {"records": 1_000_000, "store": "sqlite", "effort": "auto", "mbit_s": 10.0},
        "figures": [{**asdict(Figure("drain", 3.0, "records/s", least=4)), "verdict": "missed: 75% of it"}],
    }
    page = with_figures(f"before\n{BEGIN}\nold\n{END}\nafter\n", json.dumps(result) + "\n")
    assert page.startswith("before\n")
    assert page.endswith("\nafter\n")
    assert "old" not in page
    assert "### `drain --records 1,000,000 --mbit-s 10.0`" in page
    assert "| drain | 3 records/s | ≥ 4 | missed: 75% of it |" in page
    assert with_figures(page, json.dumps(result)) == page


def test_the_page_of_the_docs_has_the_marks() -> None:
    with_figures((Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md").read_text(), "")


def _benchmark(name: str) -> Benchmark:
    found = importlib.import_module(f"tests.benchmarks.{name}").BENCHMARK
    assert isinstance(found, Benchmark)
    assert found.name == name
    return found
