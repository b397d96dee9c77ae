"""Dead letters can be listed, shown and put back."""

import json

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from app.commands.dead_letters import REPLAYED_HEADER, dead_letters_app, read_letters
from app.kafka import topics
from app.kafka.admin import ensure_topics
from app.stream.letters import DeadLetter
from tests.consistency.harness import read_all


@pytest.fixture
async def letters(broker_url: str, unique: str) -> list[DeadLetter]:
    """Three letters, one of them from two tables."""
    await ensure_topics(broker_url, topics.ALL_TOPICS, 4)
    source = topics.UNKNOWN.name
    offset = sum(map(ord, unique)) * 1000
    made = [
        DeadLetter(source, 1, offset, "ValueError: no time", '{"ev":"X","sym":"ABC"}'),
        DeadLetter(source, 1, offset, "ValueError: no symbol", '{"ev":"X","sym":"ABC"}'),
        DeadLetter(source, 2, offset + 1, "DecodeError: not UTF-8", value_base64="/w=="),
        DeadLetter(source, 3, offset + 2, "checksum", next_offset=offset + 9),
    ]
    producer = AIOKafkaProducer(bootstrap_servers=broker_url)
    await producer.start()
    for letter in made:
        value = json.dumps({name: getattr(letter, name) for name in letter.__struct_fields__}).encode()
        await producer.send_and_wait(topics.DEAD_LETTERS.name, value, b"ABC", partition=0)
    await producer.stop()
    return made


async def test_a_record_that_two_tables_refused_is_one_letter(broker_url: str, letters: list[DeadLetter]) -> None:
    """The first of them."""
    found = [letter for _, letter in [each async for each in read_letters(broker_url)] if letter in letters]
    assert found == [letters[0], *letters[2:]]


def test_commands_show_and_replay(broker_url: str, letters: list[DeadLetter], monkeypatch: pytest.MonkeyPatch) -> None:
    """A replayed record stands in its topic with its key, its bytes and where it was; one without value is counted."""
    import asyncio

    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", broker_url)
    runner, source = CliRunner(), topics.UNKNOWN.name
    places = [f"{letter.topic}[{letter.partition}]@{letter.offset}" for letter in letters]
    listed = runner.invoke(dead_letters_app, ["list", "--topic", source])
    shown = runner.invoke(dead_letters_app, ["show", places[0]])
    results = [runner.invoke(dead_letters_app, ["replay", place]) for place in (places[0], places[2], places[3])]
    missing = runner.invoke(dead_letters_app, ["replay", f"{source}[0]@1"])

    assert listed.exit_code == 0
    assert "checksum" in listed.output
    assert json.loads(shown.output)["value"] == letters[0].value
    assert [result.output.strip() for result in results] == [
        "1 replayed, 0 without a value to replay",
        "1 replayed, 0 without a value to replay",
        "0 replayed, 1 without a value to replay",
    ]
    assert missing.exit_code == 1
    records = asyncio.run(read_all(broker_url, source))
    found = {dict(record.headers).get(REPLAYED_HEADER, b"").decode(): record for record in records}
    assert found[places[0]].value == (letters[0].value or "").encode()
    assert (found[places[2]].value, found[places[2]].partition) == (b"\xff", 2)
    assert found[places[0]].key == b"ABC"


def test_replay_wants_to_be_told_what() -> None:
    """Not everything by default."""
    assert CliRunner().invoke(dead_letters_app, ["replay"]).exit_code == 2
