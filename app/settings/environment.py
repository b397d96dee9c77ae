"""What the environment says before settings are loaded."""

import os
from datetime import date

from pydantic import AliasChoices

PREFIX = "TAPEREADER_"


def topic_prefix() -> str:
    """What the environment sets before the name of every topic.

    Topics are values that modules are made of, so that it has to be known before settings are loaded.
    `Settings` checks it.
    """
    return os.environ.get(f"{PREFIX}TOPIC_PREFIX", "")


def overnight_from() -> date | None:
    """The first trading day (trade date) that begins with a night session; None where nights are not traded.

    Agents hold a calendar from their import on, so that it has to be known before settings are loaded.
    What is no date counts as none here: `Settings` refuses it.
    """
    try:
        return date.fromisoformat(os.environ.get(f"{PREFIX}OVERNIGHT_FROM", "").strip())
    except ValueError:
        return None


#: Consumer group of a platform whose topics have no prefix.
APP_ID = "tapereader"


def named(name: str, *others: str) -> AliasChoices:
    """A setting's own names in the environment, beside the one that each has."""
    return AliasChoices(name, f"{PREFIX}{name.upper()}", *others)
