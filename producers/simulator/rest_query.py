"""What queries of the REST API say: numbers, times, comparisons; and the errors of those that say nothing."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Final

from aiohttp import web

from app.market.calendar import NEW_YORK
from producers.simulator.rest_rows import Json

#: How a query compares, by what follows the field's name.
COMPARISONS: Final[dict[str, Callable[[str, str], bool]]] = {
    "": str.__eq__, ".gt": str.__gt__, ".gte": str.__ge__, ".lt": str.__lt__, ".lte": str.__le__,
}  # fmt: skip


class RestError(Exception):
    """An answer other than 200, with its body."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


def bad_query(text: str) -> RestError:
    """The answer to a query that is none: 400, and why."""
    return RestError(400, {"status": "ERROR", "error": text})


def whole_number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A whole number of the query from 1 to `most`."""
    text = query.get(name, str(default))
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise bad_query(f"expected a {name} from 1 to {most}, was {text!r}")
    return int(text)


def compares_ticker(tickers: tuple[str, ...], test: Callable[[str, str], bool], value: str, slot: int) -> bool:
    """Whether the ticker of a slot compares so with a value."""
    return test(tickers[slot], value)


def with_otc(request: web.Request) -> bool:
    """Whether symbols that trade over the counter are wanted, too."""
    return request.query.get("include_otc", "false") == "true"


def range_ms(text: str, *, last: bool) -> int:
    """A date (its first or last ms in New York) or epoch ms of a path."""
    if text.isdigit():
        return int(text)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise bad_query(f"expected a date or epoch ms, was {text!r}") from None
    at = datetime.combine(day, time(23, 59, 59, 999_000) if last else time(0), NEW_YORK)
    return int(at.timestamp() * 1000)
