"""Logs: an event name and keys. Readable at a terminal, JSON otherwise; no secret in either.

The level can be changed while the process runs (`set_level`). While a sampled trace is under way
its ids are in each line.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from app.errors import SettingsError
from app.observability import tracing
from app.observability.printable import printable
from app.observability.repeats import Repeats
from app.settings import Settings

#: Keys whose value never appears. `key` alone is a record's key, which must.
SECRET_WORDS = ("api_key", "apikey", "token", "password", "secret", "authorization")

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

#: Libraries of which only warnings are logged.
CHATTY = ("aiokafka", "faust", "mode", "httpx", "httpcore", "urllib3", "asyncio", "opentelemetry")

#: Level of what a logger's method of that name says.
_LEVEL_OF = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
} | dict.fromkeys(("error", "exception", "critical", "fatal"), logging.ERROR)

_level = logging.INFO

_SECRET_VALUES = re.compile(r"(?i)(apikey=|bearer\s+|://[^\s:/@]*:)[^\s&@\"']+")


def mask(text: str) -> str:
    """A text with what follows `apiKey=`, `Bearer` and the user in a URL replaced by `***`."""
    return _SECRET_VALUES.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    # `host:port` without a user looks like `user:password` up to where the `@` would be.
    if found[1].startswith("://") and found.string[found.end() : found.end() + 1] != "@":
        return found[0]
    return f"{found[1]}***"


def _mask(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if any(word in name.lower() for word in SECRET_WORDS):
            event[name] = "***"
        elif isinstance(value, str):
            event[name] = mask(value)
    return event


def _show_controls(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What others sent, such as a symbol, steers no terminal; a traceback keeps its lines."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable(value, keep="\n\t")
    return event


def configure(settings: Settings) -> None:
    """Set the logs up for this process, the standard library's included."""
    global _level
    as_json = not sys.stderr.isatty() if settings.log_json is None else settings.log_json
    _level = logging.getLevelNamesMapping()[settings.log_level]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _add_trace,
        _mask,
    ]
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    if not as_json:
        # JSON escapes them itself.
        shared.append(_show_controls)
    structlog.configure(
        processors=[_drop_below_level, *shared, renderer],
        # All levels pass here, since a level that is built into the class could not be changed later.
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.addFilter(Repeats())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)
    set_level(settings.log_level)


def level() -> str:
    """The least level that is logged now."""
    return logging.getLevelName(_level)


def set_level(name: str) -> None:
    """Log from this level on, at once. Raises `SettingsError`: there is no such level."""
    global _level
    if name not in LEVELS:
        raise SettingsError(f"log level: expected one of {', '.join(LEVELS)}, was {name!r}")
    _level = logging.getLevelNamesMapping()[name]
    logging.getLogger().setLevel(_level)
    for chatty in CHATTY:
        # At DEBUG these say what they do for each record.
        logging.getLogger(chatty).setLevel(max(logging.WARNING, _level))


def _drop_below_level(_: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if _LEVEL_OF.get(name, logging.INFO) < _level:
        raise structlog.DropEvent
    return event


def _add_trace(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if tracing.enabled():
        event.update(tracing.ids())
    return event
