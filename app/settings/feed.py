"""Where events come from."""

import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import NoDecode

from app.settings.environment import named

#: A channel: an event type of the vendor's stocks socket, a dot, a symbol or `*`. It ignores others in silence.
CHANNEL = re.compile(r"^(A|AM|T|Q|LULD|NOI|FMV|LV)\.(\*|[A-Za-z0-9.:/_-]+)$")


def wrong_channel(channels: Iterable[str]) -> str | None:
    """What is wrong with the first of some channels that is none; None: all are channels."""
    for channel in channels:
        if not CHANNEL.match(channel):
            return f"{channel!r} is not a channel: expected A, AM, T, Q, LULD, NOI, FMV or LV, a dot, a symbol or *"
    return None


class Source(StrEnum):
    """Where events come from."""

    MASSIVE = "massive"
    SIMULATOR = "simulator"
    NONE = "none"


class FeedSettings(BaseModel):
    """Where events come from."""

    source: Source = Field(Source.SIMULATOR, description="`massive` (needs a key), `simulator`, or `none`.")
    massive_api_key: SecretStr | None = Field(
        None,
        validation_alias=named("massive_api_key", "MASSIVE_API_KEY", "POLYGON_API_KEY"),
        description="Massive's API key.",
    )
    massive_api_key_file: Path | None = Field(None, description="File that holds the key, where no variable does.")
    massive_feed: str = Field("socket.massive.com", description="Host of the WebSocket feed, without scheme.")
    massive_delayed_feed: str = Field(
        "delayed.massive.com", description="Host of the WebSocket feed whose data is 15 minutes late."
    )
    massive_delayed_fallback: bool = Field(
        False, description="Take the delayed host where the key's plan has no real-time data, instead of ending."
    )
    massive_market: str = Field("stocks", description="Market of the feed.")
    massive_rest_url: str = Field("https://api.massive.com", description="Base URL of the REST API.")
    massive_secure: bool = Field(True, description="Use TLS on the WebSocket.")
    subscriptions: Annotated[tuple[str, ...], NoDecode] = Field(
        ("A.*", "T.*", "Q.*", "LULD.*"), description="Channels to subscribe to, comma-separated."
    )
    market_poll_s: float = Field(60.0, gt=0, description="While the market is closed, ask for its status this often.")
    silence_timeout_s: float = Field(30.0, gt=0, description="A connection without an event for this long is replaced.")
    producer_buffer_events: int = Field(500_000, ge=1000, description="Events held while Kafka is slow.")
