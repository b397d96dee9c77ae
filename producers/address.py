"""Where the feed and the REST API of the settings' source are."""

from app.errors import SettingsError
from app.settings import Settings, Source


def feed_address(settings: Settings) -> tuple[str, str, str]:
    """WebSocket URL, REST URL and key of the settings' source. Raises `SettingsError`: no key."""
    if settings.source is Source.SIMULATOR:
        place = f"{settings.simulator_host}:{settings.simulator_port}"
        return f"ws://{place}/{settings.massive_market}", f"http://{place}", settings.api_key() or "simulator"
    key = settings.api_key()
    if not key:
        raise SettingsError(
            "MASSIVE_API_KEY is not set: set it (or POLYGON_API_KEY, or TAPEREADER_MASSIVE_API_KEY_FILE), "
            "or use --source simulator"
        )
    scheme = "wss" if settings.massive_secure else "ws"
    return f"{scheme}://{settings.massive_feed}/{settings.massive_market}", settings.massive_rest_url, key


def delayed_url(settings: Settings) -> str:
    """WebSocket URL of the host whose data is 15 minutes late; the simulator serves it on its own port."""
    if settings.source is Source.SIMULATOR:
        return f"ws://{settings.simulator_host}:{settings.simulator_port}/delayed/{settings.massive_market}"
    scheme = "wss" if settings.massive_secure else "ws"
    return f"{scheme}://{settings.massive_delayed_feed}/{settings.massive_market}"
