"""The protocol's document and the code say the same."""

import json
from pathlib import Path

import pytest

from app.gateway.protocol.messages import Close, Options, ProtocolError, options, parse

DOCUMENT = (Path(__file__).parents[4] / "docs" / "protocol.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", list(Close), ids=lambda code: code.name)
def test_every_close_code_is_documented_with_its_reason(code: Close) -> None:
    assert f"| {int(code)} | {code.reason}" in DOCUMENT


@pytest.mark.parametrize("option", Options.__struct_fields__)
def test_every_option_is_documented(option: str) -> None:
    assert f"| `{option}` |" in DOCUMENT


def test_the_options_of_a_widget_are_the_defaults() -> None:
    assert options(parse('{"action":"subscribe","feed":"scanners:top_volume"}')) == Options()


def test_deltas_come_in_envelopes_only() -> None:
    assert options(parse('{"mode":"delta"}')).envelope
    with pytest.raises(ProtocolError, match="envelope"):
        options(parse('{"mode":"delta","envelope":false}'))


def test_what_tells_rows_apart_is_always_among_the_fields() -> None:
    assert options(parse('{"fields":["close","symbol","close"]}')).fields == ("symbol", "key", "rank", "close")


@pytest.mark.parametrize("text", ["--5", "5-", "٥", "1" * 5000, "", "- 5"])
def test_a_limit_that_is_no_number_is_an_error_and_not_a_failure(text: str) -> None:
    with pytest.raises(ProtocolError, match="limit: expected an integer"):
        options(parse(json.dumps({"limit": text})))
