"""The channels of scans, and the clock that evaluates them together."""

import asyncio
from collections.abc import Iterable

import msgspec

from app.gateway.feeds.channels import Channel
from app.gateway.feeds.client import Client
from app.gateway.feeds.deltas import DeltaLog
from app.gateway.feeds.filtering import DEFAULT_ROWS
from app.gateway.feeds.scans import Market, Scan
from app.gateway.protocol.feeds import QUOTES
from app.gateway.protocol.messages import Options, Since
from app.gateway.tables.documents import RawRow, array, encode_row
from app.gateway.tables.view import Record, View
from app.market.filters import Filter

#: Changed rows are handed to the scans this often: a trader sees no difference, the columns are read less often.
EVALUATE_S = 0.25
#: What a scan has found is put together this long after the one before: a hundred of them take 0.1 s in all.
SPREAD_S = 0.001


class ScanChannel(Channel):
    """The clients of one scan: equal filters with equal options are one."""

    def __init__(self, name: str, options: Options, view: View, market: Market) -> None:
        super().__init__(name, options, view)
        if not isinstance(options.filter, Filter):
            raise TypeError(f"expected options that `fitted` made for {name}, was {options}")
        self.scan = Scan(market, options.filter, options.sort or "symbol", options.limit or DEFAULT_ROWS)
        self._log_of_scan = DeltaLog()
        self._version = 0
        self.scan.advance()
        self._log_of_scan.update(self._cut(self.scan.present().rows))

    def found(self) -> None:
        """Something that concerns the scan has changed: tell the clients, later where `max_rate` says so."""
        self._soon(self.name, self._tell)

    def greet(self, client: Client, since: Since | None = None) -> None:
        """Send a client what is found now, or what it missed since it left."""
        if self.options.mode == "delta":
            known = since.offset if since is not None and since.epoch == self._epoch else -1
            client.offer((self, self.name), self._late(self.name, self._log_of_scan, known))
            return
        found = self.scan.present()
        client.offer((self, self.name), self._state(found.rows, b',"count":%d,"enter":[],"leave":[]' % found.count))

    def _tell(self) -> None:
        found = self.scan.advance()
        if found is None:
            return
        entered, left = msgspec.json.encode(found.entered), msgspec.json.encode(found.left)
        events = b',"enter":%s,"leave":%s' % (entered, left)
        if self.options.mode == "delta":
            self._send_rows(self.name, self._log_of_scan, self._cut(found.rows), events)
            return
        self._version += 1
        frame = self._state(found.rows, b',"count":%d%s' % (found.count, events))
        for client in self.clients:
            client.offer((self, self.name), frame)

    def _state(self, rows: Iterable[RawRow], extra: bytes) -> bytes:
        data = array(encode_row(row, self.options.fields) for row in rows)
        if not self.options.envelope:
            return self._framed(data)
        return self._frame(self.name, self._version, "data", data, extra)

    def _cut(self, rows: Iterable[RawRow]) -> list[RawRow]:
        fields = self.options.fields
        return [row if fields is None else {name: row[name] for name in fields if name in row} for row in rows]


class Scans:
    """All scans of a gateway over one market, evaluated together."""

    def __init__(self, view: View, test_symbols: bool = False) -> None:
        self._view, self._test_symbols = view, test_symbols
        self._market: Market | None = None
        self._channels: list[ScanChannel] = []
        self._dirty: dict[str, Record] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        """How many scans there are."""
        return len(self._channels)

    def channel(self, name: str, options: Options) -> ScanChannel:
        """A new scan's channel."""
        if self._market is None:
            self._market = Market(self._view, self._test_symbols)
            self._market.load()
        else:
            self._evaluate()
        made = ScanChannel(name, options, self._view, self._market)
        self._channels.append(made)
        return made

    def drop(self, channel: ScanChannel) -> None:
        """Forget a scan; the last one takes the columns with it."""
        self._channels.remove(channel)
        if not self._channels:
            self._market = None
            self._dirty.clear()

    def note(self, records: Iterable[Record]) -> None:
        """Take note of changed records; the quotes among them are evaluated soon."""
        if self._market is None:
            return
        self._dirty.update((record.key, record) for record in records if record.table is QUOTES)
        if self._dirty and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVALUATE_S, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._evaluate()

    def _evaluate(self) -> None:
        dirty, self._dirty = self._dirty, {}
        if self._market is None or not dirty:
            return
        places = self._market.take(dirty.values())
        fields = frozenset[str]().union(*(channel.scan.fields for channel in self._channels))
        columns = {name: self._market.columns[name][places] for name in fields}
        concerned = [channel for channel in self._channels if channel.scan.evaluate(places, columns)]
        loop = asyncio.get_running_loop()
        for number, channel in enumerate(concerned):
            # One after the other, with room between them for all else that the gateway does.
            loop.call_later(number * SPREAD_S, self._found, channel)

    def _found(self, channel: ScanChannel) -> None:
        if channel in self._channels:
            channel.found()
