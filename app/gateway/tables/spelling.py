"""Which symbol a text means: its exact letters, else the same letters without regard to case.

Letters' case tells securities apart (`ABCw` is a warrant of `ABCW`), so that a text of other letters means a symbol
only where there is no other that it may mean.
"""

from collections.abc import Callable


class Spellings:
    """The symbols that there are, by their letters without regard to case."""

    def __init__(self) -> None:
        self._by_letters: dict[str, list[str]] = {}

    def note(self, symbol: str) -> None:
        """There is a symbol."""
        found = self._by_letters.setdefault(symbol.casefold(), [])
        if symbol not in found:
            found.append(symbol)

    def of(self, text: str, alive: Callable[[str], bool]) -> list[str]:
        """The symbols that a text may mean, of those that are `alive`: itself alone where it is one."""
        if alive(text):
            return [text]
        return sorted(symbol for symbol in self._by_letters.get(text.casefold(), ()) if alive(symbol))
