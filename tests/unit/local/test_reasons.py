"""The end of a log -> the one sentence that says why its process ended."""

import pytest

from app.local.reasons import LONGEST, reason_of

TRACEBACK = """Traceback (most recent call last):
  File "x.py", line 1, in <module>
ValueError: that is no number
"""
JAVA = """2026-11-27T02:29:12,671 ERROR BrokerServer: Fatal error during startup
java.io.IOException: No space left on device
\tat kafka.Kafka(Kafka.scala)
"""


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("", None),
        ("all is well\n", None),
        ("error: the feed refused the API key; check MASSIVE_API_KEY\n",
         "the feed refused the API key; check MASSIVE_API_KEY"),
        ('{"event":"a","level":"info"}\nerror: first\nerror: last\n{"event":"b","level":"info"}\n', "last"),
        ('{"event":"worker_failed","error":"topic x: expected 4","level":"error"}\n', "topic x: expected 4"),
        ('{"event":"it broke","level":"error"}\n', "it broke"),
        ('{"event":"feed_lost","error":"away","level":"warning"}\n', None),
        ("{half\n[1]\n{}\n", None),
        (TRACEBACK, "ValueError: that is no number"),
        (TRACEBACK + "error: said\n", "said"),
        (JAVA, "java.io.IOException: No space left on device"),
        ("12:M 1 Jan 2026 # Fatal error, can't open config file\n",
         "12:M 1 Jan 2026 # Fatal error, can't open config file"),
        ("error: \x1b[31mred\x07\u202e\n", "\\x1b[31mred\\x07\\u202e"),
        ("error: " + "x" * 1000, "x" * (LONGEST - 1) + "…"),
    ],
)  # fmt: skip
def test_the_last_reason_that_is_given_counts(log: str, reason: str | None) -> None:
    assert reason_of(log) == reason
