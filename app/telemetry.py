"""Logs: an event name and keys. Readable at a terminal, JSON otherwise; no secret in either."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from app.settings import Settings

#: Keys whose value never appears. `key` alone is a record's key, which must.
SECRET_WORDS = ("api_key", "apikey", "token", "password", "secret", "authorization")

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


def configure(settings: Settings) -> None:
    """Set the logs up for this process, the standard library's included."""
    as_json = not sys.stderr.isatty() if settings.log_json is None else settings.log_json
    level = logging.getLevelNamesMapping()[settings.log_level]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask,
    ]
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)
    for chatty in ("aiokafka", "faust", "mode", "httpx", "httpcore", "urllib3"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, level))
