"""Dead letters on their way to their topic: one for each record, whichever tables refused it."""

import asyncio
from collections import Counter
from typing import Any

import msgspec
import structlog

from app.stream import internals
from app.stream.letters import DeadLetter, Letter, error_type
from app.stream.surroundings import surroundings_of

log = structlog.get_logger(__name__)


#: How long a letter waits for other tables that may refuse the same record. They fold the same batch at about the
#: same time: a few ms, more only behind a long fold.
OTHERS_WITHIN_S = 0.25

#: How often it is looked whether they have passed the record.
_LOOK_EVERY_S = 0.01


class _Open:
    """A letter that other tables may still join."""

    def __init__(self, key: bytes | None, letter: DeadLetter) -> None:
        self.key, self.letter = key, letter
        self.tables: list[str] = []
        self.written: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class DeadLetterWriter:
    """Writes dead letters; `send` returns once Kafka has them. A record that several tables refuse is one letter."""

    def __init__(self, app: Any, topic: str) -> None:
        self._app = app
        self._topic = topic
        self._encode = msgspec.json.Encoder().encode
        self._open: dict[tuple[str, int, int], _Open] = {}
        #: Letters written since the start, by the records' topic and the type of error.
        self.written: Counter[tuple[str, str]] = Counter()

    async def send(self, letters: list[Letter], table: str) -> None:
        """Write the letters of a table and wait until Kafka has acknowledged them."""
        ours, found = [], []
        for key, letter in letters:
            place = letter.topic, letter.partition, letter.offset
            if place not in self._open:
                self._open[place] = _Open(key, letter)
                ours.append(place)
            self._open[place].tables.append(table)
            found.append(self._open[place])
        if ours:
            try:
                await self._others(ours)
            finally:
                closed = [self._open.pop(place) for place in ours]
            await self._write(closed)
        await asyncio.gather(*(each.written for each in found))

    async def _others(self, places: list[tuple[str, int, int]]) -> None:
        """Wait for the other tables of the letters' source, which may refuse the same records."""
        topic, partition, _ = places[0]
        newest = max(offset for _, _, offset in places)
        fed = [table for table in self._app.tables.values() if topic in getattr(table, "sources", ())]
        if len(fed) < 2:
            return
        clock = surroundings_of(self._app).clock
        until_s = clock.monotonic_s() + OTHERS_WITHIN_S
        while clock.monotonic_s() < until_s:
            passed = all((table.covered(topic, partition) or newest + 1) > newest for table in fed)
            # One look more: who has passed a record hands its letter over in its next step.
            await asyncio.sleep(_LOOK_EVERY_S)
            if passed:
                return

    async def _write(self, closed: list[_Open]) -> None:
        producer = internals.kafka_producer(self._app)
        try:
            sent = []
            for each in closed:
                letter = msgspec.structs.replace(each.letter, tables=sorted(set(each.tables)))
                at = f"{letter.topic}[{letter.partition}]@{letter.offset}"
                log.warning("dead_letter", at=at, tables=letter.tables, reason=letter.reason)
                sent.append(await producer.send(self._topic, key=each.key, value=self._encode(letter)))
            for future in sent:
                await future
        except BaseException as error:
            for each in closed:
                each.written.set_exception(error)
                each.written.exception()
            raise
        for each in closed:
            each.written.set_result(None)
        self.written.update((each.letter.topic, error_type(each.letter)) for each in closed)
        surroundings_of(self._app).observer.sent(self._topic, len(closed))
