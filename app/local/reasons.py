"""Why a process ended, from the end of its log: the one sentence that a person wants to read."""

import json
import re

from app.observability.printable import printable

#: How the exit of a command with an error begins its sentence (`app.commands.console`).
_SENTENCE = re.compile(r"^error: (.+)$")
#: The last line of a traceback of Python's, and Java's causes.
_EXCEPTION = re.compile(
    r"^(?:Caused by: |Exception in thread \"[^\"]*\" )?((?:[\w$]+\.)*\w*(?:Error|Exception|Refused|Exit)\b.*)$"
)
#: Kafka's and Redis's own.
_FOREIGN = re.compile(r"(?: (?:ERROR|FATAL) | # (?:Fatal|Could not|Can't|Bad|Warning)|\*\*\* FATAL)")

#: A sentence longer than this is cut.
LONGEST = 300


def reason_of(log: str) -> str | None:
    """The last reason that a log's end gives; None where it gives none.

    What a command says of its end counts most, then what was logged as an error, then an exception's line.
    """
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    for find in (_said, _logged, _raised, _foreign):
        for line in reversed(lines):
            if found := find(line):
                text = printable(found.strip())
                return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return None


def _said(line: str) -> str | None:
    found = _SENTENCE.match(line)
    return found[1] if found else None


def _logged(line: str) -> str | None:
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or event.get("level") not in ("error", "critical"):
        return None
    return str(event.get("error") or event.get("event") or "") or None


def _raised(line: str) -> str | None:
    found = _EXCEPTION.match(line)
    return found[1] if found else None


def _foreign(line: str) -> str | None:
    return line if _FOREIGN.search(line) else None
