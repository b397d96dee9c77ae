"""The vendor's answers to subscriptions, matched to what was asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SettingsError
from app.settings import Settings
from producers.channels import ChannelAnswers
from producers.routing import Status

REFUSAL = Status("error", "not authorized")
CHANNELS = ("A.*", "LULD.*", "Q.*", "T.*")


def acknowledged(channel: str) -> Status:
    return Status("success", f"subscribed to: {channel}")


@given(granted=st.sets(st.sampled_from(CHANNELS)), order=st.permutations(range(4)))
def test_the_refused_are_those_that_are_not_acknowledged(granted: set[str], order: list[int]) -> None:
    """Whatever the order in which the vendor answers: a refusal does not name its channel."""
    answers = ChannelAnswers()
    answers.ask(CHANNELS)
    for place in order:
        channel = CHANNELS[place]
        assert answers.heed(acknowledged(channel) if channel in granted else REFUSAL)
    assert answers.by_channel == {name: "acknowledged" if name in granted else "refused" for name in CHANNELS}
    assert answers.all_answered
    assert answers.any_acknowledged == bool(granted)


def test_what_the_vendor_says_nothing_to_stays_unanswered() -> None:
    answers = ChannelAnswers()
    answers.ask(["T.*", "Q.*"])
    assert answers.heed(acknowledged("T.*"))
    assert answers.by_channel == {"Q.*": "unanswered", "T.*": "acknowledged"}
    assert not answers.all_answered


def test_one_refusal_of_two_names_does_not_say_which() -> None:
    answers = ChannelAnswers()
    answers.ask(["Q.*", "LULD.*"])
    assert answers.heed(REFUSAL)
    assert set(answers.by_channel.values()) == {"unanswered"}
    assert answers.heed(acknowledged("LULD.*"))
    assert answers.by_channel == {"LULD.*": "acknowledged", "Q.*": "refused"}


def test_a_channel_that_was_given_up_is_not_told_of() -> None:
    answers = ChannelAnswers()
    answers.ask(["T.*", "Q.*"])
    answers.forget(["Q.*"])
    answers.heed(acknowledged("T.*"))
    assert answers.by_channel == {"T.*": "acknowledged"}


@pytest.mark.parametrize("status", [Status("success", "unsubscribed to: T.*"), Status("error", "something else")])
def test_other_words_are_no_answers(status: Status) -> None:
    answers = ChannelAnswers()
    answers.ask(["T.*"])
    assert not answers.heed(status)


@pytest.mark.parametrize("channel", ["AS.*", "XX.*", "T", "T.", "A,*", "t.AAPL"])
def test_a_setting_with_what_is_no_channel_is_refused(channel: str) -> None:
    """The vendor would ignore it in silence."""
    with pytest.raises(SettingsError, match="is not a channel: expected A, AM, T"):
        Settings.load(subscriptions=("A.*", channel))
    assert Settings.load(subscriptions=("A.*", "T.BRK.B", "T.BApA")).subscriptions == ("A.*", "T.BRK.B", "T.BApA")
