"""Which events a connection has asked for: `T.*`, `T.AAPL`, of the types that the feed knows."""

from collections.abc import Mapping

from producers.simulator.plans import CHANNELS
from producers.simulator.second import Encoded


def is_channel(channel: str) -> bool:
    """Whether a text is a channel of the vendor's, such as `T.*`; a symbol need not exist."""
    kind, _, symbol = channel.partition(".")
    return kind in CHANNELS and bool(symbol)


class Subscriptions:
    """A connection's channels. A type's wildcard holds beside single symbols of it."""

    def __init__(self) -> None:
        self.wildcards: frozenset[str] = frozenset()
        self._symbols: dict[str, set[str]] = {}

    def add(self, channel: str) -> bool:
        """Subscribe to a channel; False when it was held already."""
        kind, _, symbol = channel.partition(".")
        if symbol == "*":
            held = kind in self.wildcards
            self.wildcards |= {kind}
            return not held
        symbols = self._symbols.setdefault(kind, set())
        held = symbol in symbols
        symbols.add(symbol)
        return not held

    def remove(self, channel: str) -> bool:
        """Unsubscribe; False when it was not held. Taking back a wildcard leaves single symbols."""
        kind, _, symbol = channel.partition(".")
        if symbol == "*":
            held = kind in self.wildcards
            self.wildcards -= {kind}
            return held
        held = symbol in self._symbols.get(kind, ())
        if held:
            self._symbols[kind].discard(symbol)
            if not self._symbols[kind]:
                del self._symbols[kind]
        return held

    @property
    def channels(self) -> list[str]:
        """All channels, sorted."""
        single = [f"{kind}.{symbol}" for kind, symbols in self._symbols.items() for symbol in symbols]
        return sorted([*(f"{kind}.*" for kind in self.wildcards), *single])

    @property
    def kinds(self) -> frozenset[str]:
        """The event types that anything is wanted of."""
        return self.wildcards | self._symbols.keys()

    @property
    def only_wildcards(self) -> bool:
        """Whether no single symbol is subscribed to."""
        return not self._symbols

    def wants(self, kind: str, symbol: str | None) -> bool:
        """Whether an event is to be sent; one without a symbol goes to its type's wildcard."""
        return kind in self.wildcards or symbol in self._symbols.get(kind, ())

    def choose(self, encoded: Encoded, first: int, end: int, slots: Mapping[str, int]) -> list[int]:
        """The places, of `first` to `end`, of the events that are wanted."""
        kinds = encoded.kinds
        if not self._symbols:
            wildcards = self.wildcards
            return [place for place in range(first, end) if kinds[place] in wildcards]
        single = {kind: {slots.get(symbol, -1) for symbol in wanted} for kind, wanted in self._symbols.items()}
        nothing: set[int] = set()
        return [
            place
            for place in range(first, end)
            if kinds[place] in self.wildcards or encoded.slots[place] in single.get(kinds[place], nothing)
        ]
