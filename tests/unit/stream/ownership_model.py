"""A model of who writes a changelog partition, small enough to try every order of events.

Two workers, one partition, a log that the broker may compact. A worker takes the partition over, folds source records
one by one, and has flushes under way that land when the broker pleases; the other one may still believe that the
partition is its own. `search` tries all orders up to some limits and returns the first one after which a reader of the
log would have rows that do not agree with what they say they cover.

Two protocols are modelled: `JUDGED`, in which readers leave out flushes that start before what is covered already, and
`FENCED`, in which the broker refuses the flushes of all epochs but the newest in the log.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

JUDGED, FENCED = "judged", "fenced"
KEYS = 2

#: The key of each source record. Two of the same follow each other: a flush may cover one of them, or both.
KEY_OF = (0, 0, 1, 0, 1, 0)


class Record(NamedTuple):
    """A record of the log: a row with what it covers, or (no key) a claim."""

    key: int | None
    counted: frozenset[tuple[int, int]]
    before: int
    after: int
    source: int
    restart: bool
    epoch: int


class Memory(NamedTuple):
    """What a worker holds: rows by key, the next source record, its epoch, where it appends next."""

    rows: tuple[frozenset[tuple[int, int]], ...]
    covered: int
    logged: int
    restart: bool
    epoch: int
    expected: int


@dataclass(frozen=True)
class World:
    """Everything at one moment."""

    log: tuple[Record | None, ...] = ()
    source: int = 0
    carried: tuple[frozenset[tuple[int, int]], ...] = (frozenset(),) * KEYS
    epochs: int = 0
    memories: tuple[Memory | None, ...] = (None, None)
    opened: tuple[int, ...] = (-1, -1)
    under_way: tuple[tuple[Record, ...], ...] = ((), ())
    takes: int = 0
    folds: tuple[int, ...] = (0, 0)
    compactions: int = 0


@dataclass(frozen=True)
class Limits:
    """How much of each may happen."""

    takes: int = 2
    folds: tuple[int, int] = (2, 3)
    compactions: int = 0
    remakes: int = 0
    under_way: int = 2


def newest_epoch(log: tuple[Record | None, ...]) -> int:
    """What the broker compares epochs with: it keeps the newest of a log though its records are compacted."""
    return max((record.epoch for record in log if record is not None), default=-1)


def read(world: World, protocol: str) -> tuple[tuple[frozenset[tuple[int, int]], ...], int, bool]:
    """What a reader of the log has: rows, the next source record, whether the source was made anew."""
    rows, covered, source = [frozenset[tuple[int, int]]()] * KEYS, 0, 0
    for record in world.log:
        if record is None or record.key is None:
            continue
        if protocol == JUDGED and not record.restart and record.before < covered:
            continue
        rows[record.key], covered, source = record.counted, record.after, record.source
    if protocol == FENCED:
        return tuple(rows), (covered if source == world.source else 0), source != world.source
    # Without ids a source is known to be new by being shorter; the model looks before it has grown.
    anew = world.source > source and covered > 0
    return tuple(rows), (0 if anew else covered), anew


def agrees(world: World, protocol: str) -> bool:
    """Whether a reader has, of each key, exactly the source records that it says it has covered."""
    rows, covered, _ = read(world, protocol)
    return all(
        rows[key] == world.carried[key] | {(world.source, i) for i in range(covered) if KEY_OF[i] == key}
        for key in range(KEYS)
    )


def _put(values: Any, index: int, value: Any) -> Any:
    return (*values[:index], value, *values[index + 1 :])


def _steps(world: World, protocol: str, limits: Limits) -> Iterator[tuple[str, World]]:
    for worker in range(2):
        yield from _taking(world, protocol, limits, worker)
        memory = world.memories[worker]
        room = len(world.under_way[worker]) < limits.under_way and world.folds[worker] < limits.folds[worker]
        if memory is not None and room:
            for stop in _stops(memory.covered):
                name = f"worker {worker} folds the records {memory.covered} to {stop - 1}"
                yield name, _folded(world, worker, memory, stop)
        if world.under_way[worker]:
            yield _landed(world, protocol, worker)
    if world.compactions < limits.compactions:
        for index, record in enumerate(world.log):
            later = [each for each in world.log[index + 1 :] if each is not None]
            if record is not None and record.key is not None and any(each.key == record.key for each in later):
                yield (
                    f"the broker compacts record {index} away",
                    replace(world, log=_put(world.log, index, None), compactions=world.compactions + 1),
                )
    idle = not any(world.under_way)
    if world.source < limits.remakes and idle and world.log and agrees(world, protocol):
        rows, _, _ = read(world, protocol)
        yield "the source is made anew", replace(world, source=world.source + 1, carried=rows, memories=(None, None))


def _taking(world: World, protocol: str, limits: Limits, worker: int) -> Iterator[tuple[str, World]]:
    """Judged: a worker reads. Fenced: it gets an epoch, then claims and reads up to the claim."""
    if protocol == JUDGED:
        if world.takes < limits.takes and world.memories[worker] is None:
            yield f"worker {worker} reads the log", _read_back(world, protocol, worker, -1)
        return
    if world.takes < limits.takes and world.opened[worker] < 0:
        opened = _put(world.opened, worker, world.epochs)
        yield (
            f"worker {worker} gets epoch {world.epochs}",
            replace(world, epochs=world.epochs + 1, opened=opened, takes=world.takes + 1),
        )
    epoch = world.opened[worker]
    if epoch >= 0 and world.memories[worker] is None and epoch >= newest_epoch(world.log):
        claim = Record(None, frozenset(), 0, 0, world.source, False, epoch)
        claimed = replace(world, log=(*world.log, claim), takes=world.takes - 1, opened=_put(world.opened, worker, -1))
        yield f"worker {worker} claims and reads", _read_back(claimed, protocol, worker, epoch)


def _read_back(world: World, protocol: str, worker: int, epoch: int) -> World:
    rows, covered, restart = read(world, protocol)
    memory = Memory(rows, covered, covered, restart, epoch, len(world.log))
    return replace(world, memories=_put(world.memories, worker, memory), takes=world.takes + 1)


def _stops(at: int) -> list[int]:
    """Where a flush that begins at a record may end: behind it, or behind the next one too where it has its key."""
    if at >= len(KEY_OF):
        return []
    return [at + 1, at + 2] if KEY_OF[at : at + 2] == (KEY_OF[at],) * 2 else [at + 1]


def _folded(world: World, worker: int, memory: Memory, stop: int) -> World:
    at, key = memory.covered, KEY_OF[memory.covered]
    counted = memory.rows[key] | {(world.source, i) for i in range(at, stop)}
    flush = Record(key, counted, memory.logged, stop, world.source, memory.restart, memory.epoch)
    after = memory._replace(rows=_put(memory.rows, key, counted), covered=stop, logged=stop, restart=False)
    return replace(
        world,
        memories=_put(world.memories, worker, after),
        under_way=_put(world.under_way, worker, (*world.under_way[worker], flush)),
        folds=_put(world.folds, worker, world.folds[worker] + 1),
    )


def _landed(world: World, protocol: str, worker: int) -> tuple[str, World]:
    flush, *others = world.under_way[worker]
    left = replace(world, under_way=_put(world.under_way, worker, tuple(others)))
    if protocol == FENCED and flush.epoch < newest_epoch(world.log):
        void = replace(left, memories=_put(world.memories, worker, None))
        return f"a flush of worker {worker} is refused", void
    memory = world.memories[worker]
    if memory is not None:
        # Who sees that its flush did not land where it should ends; what it has sent may still land.
        moved = memory._replace(expected=memory.expected + 1) if memory.expected == len(world.log) else None
        left = replace(left, memories=_put(left.memories, worker, moved))
    return f"a flush of worker {worker} lands", replace(left, log=(*world.log, flush))


def search(protocol: str, limits: Limits) -> tuple[list[str] | None, int]:
    """The first order of events after which rows and covers disagree, None where there is none; how many were tried."""
    start = World()
    seen, waiting = {start}, [start]
    steps: dict[World, tuple[World, str]] = {}
    while waiting:
        following: list[World] = []
        for world in waiting:
            for name, after in _steps(world, protocol, limits):
                if after in seen:
                    continue
                seen.add(after)
                steps[after] = world, name
                if not agrees(after, protocol):
                    return _trace(steps, after), len(seen)
                following.append(after)
        waiting = following
    return None, len(seen)


def _trace(steps: dict[World, tuple[World, str]], world: World) -> list[str]:
    found = []
    while world in steps:
        world, name = steps[world]
        found.append(name)
    return found[::-1]
