"""Names of topics with a prefix, symbols of keys, and whose claims win."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SettingsError
from app.kafka.owner import Claim, owner_of
from app.kafka.topics import ALL_TOPICS, MARKET_QUOTES, TRADE_TAPE, TopicSpec
from app.settings import Settings

ANALYZED = TopicSpec("own.table", "symbol/kind/slot", "a table", cleanup="compact")
symbols = st.text("ABC/.", min_size=1, max_size=6).map(str.encode)


@given(symbols)
def test_a_key_s_symbol_is_what_stands_before_as_many_parts_as_the_topic_declares(symbol: bytes) -> None:
    """A symbol that holds slashes is whole."""
    assert MARKET_QUOTES.symbol_of(symbol) == symbol
    assert TRADE_TAPE.symbol_of(symbol + b"/12") == symbol
    assert ANALYZED.symbol_of(symbol + b"/bar/3") == symbol


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=8))
def test_the_first_claim_counts_until_one_takes_over(claims: list[tuple[str, bool]]) -> None:
    expected = None
    for app_id, takes_over in claims:
        if takes_over or expected is None:
            expected = app_id
    assert owner_of(Claim(app_id, 0, takes_over) for app_id, takes_over in claims) == expected


def with_prefix(prefix: str, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TAPEREADER_TOPIC_PREFIX": prefix}
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_prefix_stands_before_every_topic_and_the_consumer_group() -> None:
    done = with_prefix(
        "staging.",
        "-c",
        "from app.kafka.topics import *; from app.settings import Settings; print(Settings.load().app_id);"
        "print(*(spec.name for spec in ALL_TOPICS), *(spec.name for spec in ROUTES.values()))",
    )
    group, names = done.stdout.splitlines()
    assert group == "staging.tapereader"
    assert len(names.split()) > len(ALL_TOPICS)
    assert all(name.startswith("staging.") for name in names.split())


def test_without_a_prefix_nothing_has_changed() -> None:
    assert [spec.name for spec in ALL_TOPICS] == [spec.declared for spec in ALL_TOPICS]
    assert Settings.load().app_id == "tapereader"


@pytest.mark.parametrize("prefix", ["no spaces", ".begins with a dot", "x" * 200, "a/b"])
def test_a_prefix_that_kafka_would_refuse_is_refused_in_one_sentence(prefix: str) -> None:
    done = with_prefix(prefix, "-m", "app", "config", "check")
    assert done.returncode == 1
    assert "TAPEREADER_TOPIC_PREFIX" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_prefix_that_is_not_the_environment_s_is_refused() -> None:
    """The topics were named before settings were loaded."""
    with pytest.raises(SettingsError, match="taken from the environment only"):
        Settings.load(topic_prefix="other.")


def test_no_topic_has_a_setting_that_the_broker_refuses() -> None:
    """Only a retention may be -1, for ever: a segment's time and size are above 0."""
    for spec in ALL_TOPICS:
        config = spec.config()
        assert all(int(config[name]) > 0 for name in ("segment.ms", "segment.bytes") if name in config), spec.declared
