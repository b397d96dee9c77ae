"""Needs are computed from the measured figures, and more load never needs less."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from app.commands import capacity_model as capacity
from app.commands import cli
from app.commands.capacity_load import FIGURES, WHOLE_TAPE, Figures, Load
from app.commands.capacity_model import course, needs
from app.commands.capacity_topics import HANDED_OVER, bytes_by_topic
from app.kafka import topics

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results" / "worker.json"
RAW = {"A": topics.AGGREGATES, "T": topics.TRADES, "Q": topics.QUOTES}

figures = st.builds(
    Figures,
    cpu_us=st.floats(0.5, 100),
    bytes_quiet=st.floats(20, 400),
    bytes_busy=st.floats(20, 400),
    row_bytes_quiet=st.floats(1, 2000),
    row_bytes_busy=st.floats(1, 200),
)
loads = st.builds(
    Load, peak_per_s=st.floats(20_000, 500_000), per_day=st.floats(1, 1e8), retention_h=st.floats(0.5, 48)
)


def test_the_figures_are_the_measured_ones() -> None:
    """`python -m benchmarks.worker` measures them."""
    kinds = json.loads(RESULTS.read_text(encoding="utf-8"))["kinds"]
    assert {
        kind: Figures(
            found["cpu_us_per_record"],
            found["bytes_per_event_quiet"],
            found["bytes_per_event_busy"],
            found["row_bytes_per_event_quiet"],
            found["row_bytes_per_event_busy"],
        )
        for kind, found in kinds.items()
    } == dict(FIGURES)


def test_retention_is_what_the_topics_have() -> None:
    for kind, load in WHOLE_TAPE.items():
        assert load.retention_h * topics.HOUR_MS == RAW[kind].retention_ms


def test_every_topic_that_is_declared_is_counted() -> None:
    """In what is computed, in what is printed, and in the sum."""
    found = bytes_by_topic(WHOLE_TAPE)
    assert [each.spec for each in found] == list(topics.ALL_TOPICS)
    for each in found:
        assert each.held >= 0
        assert each.written_per_day >= each.held or each.spec.retention_ms > topics.DAY_MS, each.spec.declared
    printed = CliRunner().invoke(cli, ["capacity"]).output.splitlines()
    assert {spec.declared for spec in topics.ALL_TOPICS} <= {line.split()[0] for line in printed if line.split()}
    wanted = needs(WHOLE_TAPE, replication_factor=3)
    assert wanted.held_bytes == pytest.approx(3 * sum(each.held for each in found))
    assert wanted.written_bytes_per_day == pytest.approx(3 * sum(each.written_per_day for each in found))


def test_what_is_handed_over_and_published_is_the_measured() -> None:
    """`python -m benchmarks.hand_overs` measures it."""
    rates = json.loads(RESULTS.with_name("hand_overs.json").read_text(encoding="utf-8"))["bytes_per_s"]
    measured = {name: found["zstd"] for name, found in rates.items()}
    raw = sum(measured.pop(name) for name in ("aggregates", "trades", "quotes"))
    assert measured | {"raw": raw} == HANDED_OVER
    assert (HANDED_OVER["board_rows"] + HANDED_OVER["window_statistics"]) / raw < 0.2


@given(figures, loads, st.floats(1.01, 20))
def test_more_load_never_needs_less(found: Figures, load: Load, factor: float) -> None:
    one = needs({"T": load}, {"T": found})
    more = needs({"T": replace(load, peak_per_s=load.peak_per_s * factor, per_day=load.per_day * factor)}, {"T": found})
    assert more.workers >= one.workers
    assert more.partitions >= one.partitions
    assert more.held_bytes > one.held_bytes
    assert more.cores_at_peak == pytest.approx(one.cores_at_peak * factor)


@given(figures, loads)
def test_the_workers_that_are_needed_keep_up(found: Figures, load: Load) -> None:
    """At 0.7 of a core each nothing piles up, and each has four partitions at least."""
    wanted = needs({"T": load}, {"T": found})
    seen = course({"T": load}, wanted.workers, {"T": found})
    assert (seen.longest_delay_s, seen.behind_until_s) == (0.0, 0.0)
    assert wanted.partitions >= 4 * wanted.workers


@given(figures, loads, st.lists(st.floats(0, 1), min_size=1, max_size=60), st.integers(1, 5))
def test_the_queue_is_that_of_a_plain_reference(found: Figures, load: Load, profile: list[float], workers: int) -> None:
    """Work never vanishes: what was asked for is done or waits."""
    seen = course({"T": load}, workers, {"T": found}, profile=profile)
    asked, waiting, longest = load.peak_per_s * found.cpu_us / 1e6, 0.0, 0.0
    for share in profile:
        waiting += share * asked
        waiting -= min(waiting, workers)
        longest = max(longest, waiting / workers)
    assert seen.longest_delay_s == pytest.approx(longest, abs=1e-6)
    assert (seen.behind_until_s is None) == (waiting > 0.1 * workers)


def test_too_few_workers_fall_behind_and_catch_up() -> None:
    """Two cores of work at the peak and one worker: half of each second waits while it lasts."""
    load = {"T": Load(200_000, 1e8, 6)}
    found = {"T": Figures(10.0, 100, 50, 1, 100)}
    seen = course(load, 1, found, profile=[1.0] * 10 + [0.0] * 20)
    assert seen.longest_delay_s == pytest.approx(10.0)
    assert seen.most_waiting == pytest.approx(1_000_000)
    assert seen.behind_until_s == 19.0
    assert capacity.cores_at_peak(load, found) == 2.0


@pytest.mark.parametrize("arguments", [[], ["--slowdown", "4"]], ids=["measured", "slower"])
def test_the_document_shows_what_the_command_prints(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.commands.capacity.out", Console(width=100, file=(printed := io.StringIO())))
    said = CliRunner().invoke(cli, ["capacity", *arguments])
    assert said.exit_code == 0, said.output
    text = (Path(__file__).parents[3] / "docs" / "capacity.md").read_text(encoding="utf-8")
    shown = text.split(" ".join(["$ tapereader capacity", *arguments]) + "\n", 1)[1].split("```", 1)[0]
    assert [line.split() for line in shown.splitlines()] == [line.split() for line in printed.getvalue().splitlines()]


def test_the_document_shows_the_measured_figures() -> None:
    text = (Path(__file__).parents[3] / "docs" / "capacity.md").read_text(encoding="utf-8")
    kinds = json.loads(RESULTS.read_text(encoding="utf-8"))["kinds"]
    for name, value in (
        ("events/s, behind, one core", "records_per_s"),
        ("CPU µs per event, behind", "cpu_us_per_record"),
    ):
        assert f"| {name} | {' | '.join(f'{kinds[kind][value]:,}' for kind in 'ATQ')} |" in text
