"""A replayed day is in the topics event by event, and a recorded one is played back unchanged."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from app import topics
from app.topic_admin import ensure_topics
from producers.record import record
from producers.replay import replay
from tests.consistency.harness import read_all


async def raw_values(
    broker_url: str, specs: Iterable[topics.TopicSpec] = topics.RAW_TOPICS
) -> Counter[tuple[str, bytes]]:
    found: Counter[tuple[str, bytes]] = Counter()
    for spec in specs:
        found.update((spec.name, record.value) for record in await read_all(broker_url, spec.name))
    return found


@pytest.fixture
async def raw_topics(broker_url: str) -> None:
    await ensure_topics(broker_url, topics.ALL_TOPICS, 4)


async def test_a_replay_writes_each_event_and_names_what_it_cannot_read(
    broker_url: str, raw_topics: None, tmp_path: Path
) -> None:
    """Unknown types have their topic, broken lines are dead letters with their number."""
    before, dead_before = await raw_values(broker_url), len(await read_all(broker_url, topics.DEAD_LETTERS.name))
    tape = tmp_path / "tape.ndjson"
    lines = [
        '{"ev":"T","sym":"AAPL","p":2.0,"s":1,"t":2000}',
        '{"ev":"T","sym":"AAPL","p":1.0,"s":1,"t":1000}',
        '{"ev":"NOI","T":"AAPL","t":1500}',
        '{"ev":"T","p":1.0}',
        "not json",
        "",
    ]
    tape.write_text("\n".join(lines))
    sent = await replay(broker_url, tape)
    new = await raw_values(broker_url) - before

    assert sent == {"T": 2, "NOI": 1, "dead": 2}
    assert new == {
        ("massive.trades", lines[0].encode()): 1,
        ("massive.trades", lines[1].encode()): 1,
        ("massive.unknown", lines[2].encode()): 1,
    }
    dead = [json.loads(found.value) for found in await read_all(broker_url, topics.DEAD_LETTERS.name)][dead_before:]
    assert sorted(letter["reason"].split(":")[0] for letter in dead) == ["line 4", "line 5"]
    ordered = [found.value for found in await read_all(broker_url, "massive.trades") if b'"AAPL"' in found.value]
    assert ordered.index(lines[1].encode()) < ordered.index(lines[0].encode())


async def test_a_recorded_file_is_played_back_byte_for_byte(broker_url: str, raw_topics: None, tmp_path: Path) -> None:
    """Recording, replaying and recording again gives each event twice."""
    tape = tmp_path / "tape.ndjson"
    tape.write_text('{"ev":"Q","sym":"SPY","bp":1.10,"ap":1.2,"t":1000}\n{"ev":"A","sym":"SPY","e":2000,  "v":1}\n')
    await replay(broker_url, tape)
    before = await raw_values(broker_url)
    first = tmp_path / "first.ndjson.zst"
    written = await record(broker_url, first)
    await replay(broker_url, first)

    assert written == before.total()
    assert await raw_values(broker_url) == before + before


async def test_the_real_tape_has_the_counts_it_should(broker_url: str, raw_topics: None, tape_dir: Path) -> None:
    """As the expected file says by type."""
    expected = json.loads((tape_dir / "us-equities-2013-10-09.expected.json").read_text())
    sent = await replay(
        broker_url,
        tape_dir / "us-equities-2013-10-09.ndjson.gz",
        reference=tape_dir / "us-equities-2013-10-09.reference.json",
    )

    assert {name: sent[name] for name in expected["events"]} == expected["events"]
    assert sent["reference"] == 4
    assert sent["dead"] == 0
