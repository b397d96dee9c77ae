"""What others sent steers no terminal: in errors, logs, tables and reasons."""

import io
import logging

import pytest
import structlog
from rich.console import Console

from app.commands.following import Wish, cell, screen
from app.observability.logs import configure
from app.observability.printable import printable
from app.settings import Settings

#: Clears the screen, sets the title, rings, goes back, deletes; the last is the one-byte form of the first's start.
HOSTILE = "A\x1b[2J\x1b]0;owned\x07\x08\r\x7f\x9b2J\u202eL"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("AAPL", "AAPL"),
        ("BRK.B é 漢 – …", "BRK.B é 漢 – …"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202egnp", "\\u202egnp"),
    ],
)
def test_control_characters_are_shown_and_not_done(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_is_to_be_kept_is_kept() -> None:
    assert printable("a\n\x1b", keep="\n") == "a\n\\x1b"


def controls_in(text: str) -> list[str]:
    """The control characters of a text, but line ends."""
    return [each for each in text if printable(each, keep="\n") != each]


def test_a_hostile_symbol_steers_no_terminal_that_follows_a_feed() -> None:
    assert controls_in(cell(HOSTILE)) == []
    asked = Wish("quote:*", "ws://gateway")
    for shown in ({"quote:A": {"symbol": HOSTILE, "close": 1.0}}, {"x": {"other": HOSTILE}}):
        written = io.StringIO()
        Console(file=written, width=200).print(screen(asked, shown, ["connected"]))
        assert controls_in(written.getvalue()) == []
        assert "owned" in written.getvalue()


def test_a_hostile_symbol_steers_no_terminal_that_shows_a_log(capfd: pytest.CaptureFixture[str]) -> None:
    configure(Settings.load(log_json=False))
    try:
        structlog.get_logger().warning("unknown_symbol", symbol=HOSTILE)
        logging.getLogger("library").warning("bad %s", HOSTILE)
    finally:
        structlog.reset_defaults()
    written = capfd.readouterr().err
    # The renderer's own colours are there where the terminal wants them; what they wrap is shown.
    assert "\x1b[2J" not in written
    assert "\x07" not in written
    assert "\x9b" not in written
    assert written.count("owned") == 2
