"""Text of others on its way to a terminal: what would steer the terminal is shown, not done."""

import re

#: The control characters of ASCII and of Latin-1, and what turns the direction of writing around.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str, keep: str = "") -> str:
    """The text with each control character as its escape (`\\x1b`), line ends and tabs too, but those to keep."""
    return _CONTROLS.sub(
        lambda found: found[0] if found[0] in keep else found[0].encode("unicode_escape").decode("ascii"), text
    )
