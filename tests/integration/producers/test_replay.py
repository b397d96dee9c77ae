"""A replayed day is in the topics event by event, and a recorded one is played back unchanged."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import zstandard

from app.errors import StartupError
from app.kafka import topics
from app.kafka.admin import ensure_topics
from producers.publisher import Publisher
from producers.record import record
from producers.replay import replay
from producers.routing import Routed
from tests.consistency.harness import read_all
from tests.eventually import eventually
from tests.integration.agents.workers import own_broker


async def raw_values(
    broker_url: str, specs: Iterable[topics.TopicSpec] = topics.RAW_TOPICS
) -> Counter[tuple[str, bytes]]:
    found: Counter[tuple[str, bytes]] = Counter()
    for spec in specs:
        found.update((spec.name, record.value) for record in await read_all(broker_url, spec.name))
    return found


@pytest.fixture(scope="module")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of this module's own: what other tests leave in the raw topics would be recorded too."""
    with own_broker(tmp_path_factory.mktemp("replay") / "kafka") as bootstrap:
        yield bootstrap


@pytest.fixture
async def raw_topics(broker_url: str) -> None:
    await ensure_topics(broker_url, topics.ALL_TOPICS, 4)


@pytest.mark.verify
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


@pytest.mark.verify
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


@pytest.mark.verify
async def test_a_paced_replay_takes_the_tapes_time(broker_url: str, raw_topics: None, tmp_path: Path) -> None:
    """Two seconds of tape at ten times its pace take a fifth of a second at least, all events in order."""
    tape = tmp_path / "tape.ndjson"
    tape.write_text("".join(f'{{"ev":"T","sym":"PACE","q":{n},"t":{1000 + n * 10}}}\n' for n in range(201)))
    steps: list[tuple[int, int]] = []
    started = time.monotonic()
    sent = await replay(broker_url, tape, speed=10.0, progress=lambda done, total: steps.append((done, total)))

    assert time.monotonic() - started >= 0.2
    assert sent == {"T": 201}
    assert steps == sorted(steps)
    assert steps[-1] == (201, 201)
    assert len(steps) >= 3
    found = [
        json.loads(record.value) for record in await read_all(broker_url, "massive.trades") if record.key == b"PACE"
    ]
    assert [event["q"] for event in found] == list(range(201))


async def test_values_that_do_not_fit_a_line_survive_a_recording(
    broker_url: str, raw_topics: None, unique: str, tmp_path: Path
) -> None:
    """Line breaks within an event are kept, and so are key and receive time."""
    value = b'{"ev":"XYZ",\n "sym":"%s"}' % unique.encode()
    async with Publisher(broker_url) as publisher:
        await publisher.publish([(Routed("massive.unknown", unique.encode(), value, "XYZ"), 1_700_000_000_000_000_007)])
    await record(broker_url, tmp_path / "f.zst", topics=[topics.UNKNOWN])
    await replay(broker_url, tmp_path / "f.zst")

    found = [record for record in await read_all(broker_url, "massive.unknown") if record.key == unique.encode()]
    assert [(one.value, dict(one.headers)["received_ns"]) for one in found] == [(value, b"1700000000000000007")] * 2


async def test_a_recording_that_follows_holds_what_came_meanwhile(
    broker_url: str, raw_topics: None, unique: str, tmp_path: Path
) -> None:
    """Each event once; the file is whole when the recording is cancelled."""
    path, totals = tmp_path / "f.zst", [0]
    following = asyncio.create_task(
        record(broker_url, path, topics=[topics.UNKNOWN], follow=True, progress=lambda done, _: totals.append(done))
    )
    before = len(await read_all(broker_url, "massive.unknown"))
    await eventually(lambda: totals[-1] >= before)
    async with Publisher(broker_url) as publisher:
        for n in range(3):
            value = b'{"ev":"XYZ","sym":"%s","n":%d}' % (unique.encode(), n)
            await publisher.publish([(Routed("massive.unknown", unique.encode(), value, "XYZ"), n)])
            wanted = before + n + 1

            def followed(wanted: int = wanted) -> bool:
                return totals[-1] >= wanted

            await eventually(followed)
    following.cancel()
    await asyncio.wait({following})

    assert following.cancelled()
    lines = [json.loads(line) for line in zstandard.decompress(path.read_bytes(), 10**8).splitlines()]
    assert [line["value"]["n"] for line in lines if line["key"] == unique] == [0, 1, 2]
    assert len(lines) == before + 3


async def test_a_topic_that_is_not_there_is_named(broker_url: str, tmp_path: Path) -> None:
    """With what makes it."""
    absent = topics.TopicSpec("massive.absent", "symbol", "nothing")
    with pytest.raises(StartupError, match=r"massive\.absent is not there; `tapereader topics create`"):
        await record(broker_url, tmp_path / "f.zst", topics=[absent])


async def test_without_tracing_an_event_has_its_receive_time_alone(
    broker_url: str, raw_topics: None, unique: str
) -> None:
    """A traced one is in tests/integration/observability/test_operations.py."""
    key = unique.encode()
    async with Publisher(broker_url) as publisher:
        await publisher.publish([(Routed("massive.unknown", key, b'{"ev":"XYZ","sym":"%s"}' % key, "XYZ"), 7)])
    (found,) = [record for record in await read_all(broker_url, "massive.unknown") if record.key == key]
    assert list(found.headers) == [("received_ns", b"7")]


@pytest.mark.verify
async def test_a_day_before_that_of_the_boards_is_refused(broker_url: str, raw_topics: None, tmp_path: Path) -> None:
    """Its events would all be late: better said than shown by boards that never move. Last: the boards stay."""
    tape = tmp_path / "tape.ndjson"
    tape.write_text('{"ev":"T","sym":"AAPL","p":2.0,"s":1,"t":1384788600000}\n')  # 2013-11-18, 10:30 ET
    before = await raw_values(broker_url)

    async def publish_board(day: str) -> None:
        async with Publisher(broker_url) as publisher:
            value = json.dumps({"board": "top_volume", "day": day, "published_ns": 1, "entries": []}).encode()
            await publisher.publish([(Routed(topics.LEADERBOARDS.name, b"top_volume", value, "board"), 1)])

    await publish_board("2013-11-19")
    with pytest.raises(StartupError, match=r"ends on 2013-11-18 and the boards .* are of 2013-11-19.*--data-dir"):
        await replay(broker_url, tape)
    assert await raw_values(broker_url) == before

    await publish_board("2013-11-18")
    assert (await replay(broker_url, tape))["T"] == 1
