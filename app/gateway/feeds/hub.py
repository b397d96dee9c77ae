"""Who is subscribed to what, and the fan-out of what changed."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from app.gateway.feeds.channels import Channel
from app.gateway.feeds.client import Client, ClientCounts
from app.gateway.feeds.filtering import is_scan
from app.gateway.feeds.scan_channel import ScanChannel, Scans
from app.gateway.protocol.feeds import is_pattern
from app.gateway.protocol.messages import Close, Options, ProtocolError, Since
from app.gateway.tables.view import Record, View
from app.market.filters import Filter

#: A delta channel that nobody listens to goes on for this long, so that who reconnects misses nothing.
LINGER_S = 60.0
MAX_LINGERING = 100
#: Connections that have not signed in are counted apart: they take nobody's place, and are this many at most.
MAX_UNSIGNED = 200
#: More stars than this mean nothing that fewer do not.
MAX_STARS = 4
#: The code of a connection that ended without one (RFC 6455, section 7.4.1).
ABNORMAL = 1006


class Hub:
    """All clients and their subscriptions; every method runs on the event loop's thread."""

    def __init__(
        self, view: View, max_clients: int, max_subscriptions: int, max_scans: int = 200, *, test_symbols: bool = False
    ) -> None:
        self._scans, self._max_scans = Scans(view, test_symbols), max_scans
        self._view, self._max_clients, self._max_subscriptions = view, max_clients, max_subscriptions
        self._clients: dict[Client, dict[str, Channel]] = {}
        self._unsigned: set[Client] = set()
        self._channels: dict[tuple[str, Options], Channel] = {}
        self._exact: dict[str, list[Channel]] = {}
        self._patterns: list[Channel] = []
        self._lingering = 0
        self.closing = False
        #: What clients that have left were sent.
        self._left = ClientCounts()
        #: Connections that ended, by the code that closed them.
        self.closes: Counter[int] = Counter()

    @property
    def clients(self) -> int:
        """How many clients there are."""
        return len(self._clients)

    @property
    def subscriptions(self) -> int:
        """How many subscriptions all clients have."""
        return sum(map(len, self._clients.values()))

    def full(self) -> bool:
        """Whether no more clients are taken."""
        return len(self._clients) - len(self._unsigned) >= self._max_clients

    def crowded(self) -> bool:
        """Whether no more connections are taken that have not signed in."""
        return len(self._unsigned) >= MAX_UNSIGNED

    def join(self, client: Client, *, signed: bool = True) -> None:
        """Take in a client; one that has not signed in yet takes no client's place."""
        self._clients[client] = {}
        if not signed:
            self._unsigned.add(client)

    def signed(self, client: Client) -> bool:
        """A client has signed in; whether there is a place for it."""
        if client not in self._unsigned:
            return True
        if self.full():
            return False
        self._unsigned.discard(client)
        return True

    def counts(self) -> ClientCounts:
        """What all clients were sent since the start, and what newer states took the place of."""
        everyone = [self._left, *(client.counts for client in list(self._clients))]
        return ClientCounts(sum(each.sent for each in everyone), sum(each.conflated for each in everyone))

    def queues(self) -> list[int]:
        """How many frames wait for each client."""
        return [client.waiting for client in list(self._clients)]

    def ended(self, client: Client) -> None:
        """Count a connection's end and what it was sent."""
        self.closes[client.close_code or ABNORMAL] += 1
        self._left.sent += client.counts.sent
        self._left.conflated += client.counts.conflated

    def leave(self, client: Client) -> None:
        """Forget a client and its subscriptions."""
        self._unsigned.discard(client)
        for channel in self._clients.pop(client, {}).values():
            self._part(client, channel)

    def check(self, client: Client | None, feed: str, options: Options) -> None:
        """Raises `ProtocolError` where the client, None for one that is to come, cannot subscribe to the feed."""
        if feed.count("*") > MAX_STARS:
            raise ProtocolError("bad_feed", f"feed: expected at most {MAX_STARS} stars, was {feed.count('*')}")
        mine = self._clients[client] if client is not None else {}
        if feed not in mine and len(mine) >= self._max_subscriptions:
            raise ProtocolError("too_many_subscriptions", f"expected at most {self._max_subscriptions} subscriptions")
        if is_scan(feed) and (feed, options) not in self._channels:
            self._make_room_for_a_scan()

    def subscribe(self, client: Client, feed: str, options: Options, greet: bool, since: Since | None = None) -> None:
        """Subscribe a client; another subscription of the same name is replaced."""
        if client not in self._clients:
            return
        channel = self._channel(feed, options)
        previous = self._clients[client].get(feed)
        if previous is not None and previous is not channel:
            self._part(client, previous)
        self._clients[client][feed] = channel
        channel.clients[client] = None
        if greet:
            channel.greet(client, since)

    def unsubscribe(self, client: Client, feed: str) -> bool:
        """End a subscription; whether there was one."""
        channel = self._clients[client].pop(feed, None)
        if channel is not None:
            self._part(client, channel)
        return channel is not None

    def feeds(self, client: Client) -> list[str]:
        """What a client is subscribed to."""
        return list(self._clients[client])

    def described_channels(self) -> list[dict[str, Any]]:
        """What is subscribed to, with which options (those that are not the default), by how many clients."""
        return [
            {"feed": channel.name, "options": _described(channel.options), "clients": len(channel.clients)}
            for channel in self._channels.values()
        ]

    def described_clients(self) -> list[dict[str, Any]]:
        """The clients with what was sent to them, what waits, and what newer states took the place of."""
        return [
            {"subject": client.subject, "feeds": len(mine), "waiting": client.waiting,
             "sent": client.counts.sent, "conflated": client.counts.conflated}
            for client, mine in self._clients.items()
        ]  # fmt: skip

    def publish(self, records: Sequence[Record]) -> None:
        """Hand changed records to all who want them."""
        if not self._channels:
            return
        self._scans.note(records)
        exact, patterns = self._exact, self._patterns
        for record in records:
            channels = exact.get(record.feed, [])
            if patterns:
                channels = [*channels, *(each for each in patterns if each.matches and each.matches(record.feed))]
            if len(channels) == 1:
                channels[0].publish(record)
            elif channels:
                self._publish_once(record, channels)

    async def close(self, notice: bytes, grace_s: float) -> None:
        """Tell every client that the gateway stops, and close; waits until they have gone or for the grace."""
        self.closing = True
        for client in list(self._clients):
            client.wire.notify(notice)
            client.close(Close.SHUTDOWN)
        try:
            async with asyncio.timeout(grace_s):
                while self._clients:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            return

    def _make_room_for_a_scan(self) -> None:
        """Raises `ProtocolError` where there are as many scans as there may be, and all of them have clients."""
        if self._scans.count < self._max_scans:
            return
        idle = [each for each in self._channels.values() if isinstance(each, ScanChannel) and not each.clients]
        if not idle:
            raise ProtocolError("too_many_scans", f"expected at most {self._max_scans} different scans of all clients")
        self._drop(idle[0])

    def _publish_once(self, record: Record, channels: list[Channel]) -> None:
        """A client whose names overlap gets a state once for each set of options."""
        served: dict[Options, set[Client]] = {}
        for channel in channels:
            seen = served.setdefault(channel.options, set())
            channel.publish(record, skip=seen)
            seen.update(channel.clients)

    def _channel(self, feed: str, options: Options) -> Channel:
        found = self._channels.get((feed, options))
        if found is None and is_scan(feed):
            found = self._channels[feed, options] = self._scans.channel(feed, options)
        elif found is None:
            found = self._channels[feed, options] = Channel(feed, options, self._view)
            if is_pattern(feed):
                self._patterns.append(found)
            else:
                self._exact.setdefault(feed, []).append(found)
        return found

    def _part(self, client: Client, channel: Channel) -> None:
        channel.clients.pop(client, None)
        client.forget_all(lambda key: isinstance(key, tuple) and key[0] is channel)
        if channel.clients:
            return
        if channel.options.mode == "delta" and self._lingering < MAX_LINGERING and not self.closing:
            self._lingering += 1
            asyncio.get_running_loop().call_later(LINGER_S, self._lingered, channel)
        else:
            self._drop(channel)

    def _lingered(self, channel: Channel) -> None:
        self._lingering -= 1
        if not channel.clients:
            self._drop(channel)

    def _drop(self, channel: Channel) -> None:
        if self._channels.get((channel.name, channel.options)) is not channel:
            return
        channel.close()
        del self._channels[channel.name, channel.options]
        if isinstance(channel, ScanChannel):
            self._scans.drop(channel)
            return
        if channel.matches is not None:
            self._patterns.remove(channel)
            return
        self._exact[channel.name].remove(channel)
        if not self._exact[channel.name]:
            del self._exact[channel.name]


def _described(options: Options) -> dict[str, Any]:
    default = Options()
    shown = {name: getattr(options, name) for name in Options.__struct_fields__}
    changed = {name: value for name, value in shown.items() if value != getattr(default, name)}
    return {name: value.text if isinstance(value, Filter) else value for name, value in changed.items()}
