"""Who may read."""

import time
from typing import Any

import pytest

from app.errors import SettingsError
from app.gateway.access.access import Access
from app.gateway.access.identity import Identity, Role, SignInRefused
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
async def test_the_key_travels_in_either_header(headers: dict[str, str], valid: bool) -> None:
    locked = access(gateway_api_key="kéy")
    if valid:
        assert (await locked.of_request(headers)).role is Role.VIEWER
    else:
        with pytest.raises(SignInRefused):
            await locked.of_request(headers)


async def test_keys_have_roles() -> None:
    keys = access(gateway_api_key="plain", gateway_api_keys="viewer:a:b, operator:c.d.e")
    assert (await keys.of_bearer("plain")).role is Role.VIEWER
    assert (await keys.of_bearer("a:b")).role is Role.VIEWER
    assert (await keys.of_bearer("c.d.e")).role is Role.OPERATOR, "a key with two dots is a key"


@pytest.mark.parametrize("keys", ["a", "admin:a", "viewer:", "viewer:a,"])
def test_a_key_without_a_role_is_no_key_and_the_error_does_not_tell_it(keys: str) -> None:
    with pytest.raises(SettingsError, match="is not ROLE:KEY"):
        access(gateway_api_keys=keys)


async def test_the_open_gateway_is_controlled_from_its_own_machine_only() -> None:
    assert (await access().of_request({})).role is Role.OPERATOR
    assert (await access(http_host="0.0.0.0", gateway_open=True).of_request({})).role is Role.VIEWER
    assert (await access(gateway_open=True).of_request({})).role is Role.VIEWER, "a proxy may stand before it"


def test_a_short_session_secret_is_refused() -> None:
    with pytest.raises(SettingsError, match="at least 32 characters, was 5"):
        access(gateway_session_secret="short")


async def test_a_sessions_cookie_counts_for_the_gateways_own_pages_only() -> None:
    locked = access(gateway_api_key="k")
    expires_s = time.time() + 60
    session = {"subject": "ann", "role": "operator", "expires_s": expires_s}
    for origin in ({}, {"origin": "https://scan.example:8443"}):
        headers = {"host": "scan.example:8443", **origin}
        assert await locked.of_request(headers, session) == Identity("ann", Role.OPERATOR, expires_s)
    for wrong in ({"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "https://scan.example"}):
        with pytest.raises(SignInRefused):
            await locked.of_request({"host": "scan.example:8443", **wrong}, session)
    with pytest.raises(SignInRefused):
        await locked.of_request({}, session | {"expires_s": time.time() - 1})
