"""Who may read."""

from typing import Any

import pytest

from app.errors import SettingsError
from app.gateway.access import Access
from app.settings import Settings


def access(**settings: Any) -> Access:
    return Access(Settings.load(**settings))


def test_a_gateway_on_a_network_is_not_open_unless_told() -> None:
    with pytest.raises(SettingsError, match="TAPEREADER_GATEWAY_API_KEY"):
        access(http_host="0.0.0.0")
    assert access(http_host="0.0.0.0", gateway_open=True).open
    assert not access(http_host="0.0.0.0", gateway_api_key="k").open
    assert access(http_host="::1").open


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        pytest.param({}, True, id="no-browser"),
        pytest.param({"origin": "http://localhost:4200"}, True, id="this-machine"),
        pytest.param({"origin": "http://[::1]:80"}, True, id="ipv6"),
        pytest.param({"origin": "https://scan.example", "host": "scan.example:8000"}, True, id="same-host"),
        pytest.param({"origin": "https://evil.example", "host": "127.0.0.1:8000"}, False, id="other"),
        pytest.param({"origin": "null", "host": "127.0.0.1:8000"}, False, id="null"),
        pytest.param({"origin": "http://localhost.evil.example"}, False, id="lookalike"),
    ],
)
def test_in_open_mode_only_pages_of_this_machine_or_the_gateway_connect(headers: dict[str, str], allowed: bool) -> None:
    assert access().origin_allowed(headers) is allowed
    assert access(gateway_api_key="k").origin_allowed(headers), "with a key the key decides"


@pytest.mark.parametrize(
    ("headers", "valid"),
    [
        pytest.param({"authorization": "Bearer kéy"}, True, id="bearer"),
        pytest.param({"authorization": "bearer kéy "}, True, id="case"),
        pytest.param({"x-api-key": "kéy"}, True, id="header"),
        pytest.param({"authorization": "Basic kéy"}, False, id="basic"),
        pytest.param({"x-api-key": "key"}, False, id="wrong"),
        pytest.param({}, False, id="none"),
    ],
)
def test_the_key_travels_in_either_header(headers: dict[str, str], valid: bool) -> None:
    assert access(gateway_api_key="kéy").headers_valid(headers) is valid
