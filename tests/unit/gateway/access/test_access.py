"""Who may read."""

import time
from typing import Any

import pytest

from app.errors import SettingsError
from app.gateway.access.access import Access
from app.gateway.access.identity import Identity, Role, SignInRefused
from app.settings import Settings

KEY = "kéy-of-sixteen-and-more"


def access(**settings: Any) -> Access:
    return Access(Settings.load(**settings))


def test_a_gateway_on_a_network_is_not_open_unless_told() -> None:
    with pytest.raises(SettingsError, match="TAPEREADER_GATEWAY_API_KEY"):
        access(http_host="0.0.0.0")
    assert access(http_host="0.0.0.0", gateway_open=True).open
    assert not access(http_host="0.0.0.0", gateway_api_key=KEY).open
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
    assert access(gateway_api_key=KEY).origin_allowed(headers), "with a key the key decides"


@pytest.mark.parametrize(
    ("headers", "valid"),
    [
        pytest.param({"authorization": f"Bearer {KEY}"}, True, id="bearer"),
        pytest.param({"authorization": f"bearer {KEY} "}, True, id="case"),
        pytest.param({"x-api-key": KEY}, True, id="header"),
        pytest.param({"authorization": f"Basic {KEY}"}, False, id="basic"),
        pytest.param({"x-api-key": "key"}, False, id="wrong"),
        pytest.param({}, False, id="none"),
    ],
)
async def test_the_key_travels_in_either_header(headers: dict[str, str], valid: bool) -> None:
    locked = access(gateway_api_key=KEY)
    if valid:
        assert (await locked.of_request(headers)).role is Role.VIEWER
    else:
        with pytest.raises(SignInRefused):
            await locked.of_request(headers)


async def test_keys_have_roles() -> None:
    colon, dots = f"a:{'b' * 16}", f"c.d.{'e' * 16}"
    keys = access(gateway_api_key=KEY, gateway_api_keys=f"viewer:{colon}, operator:{dots}")
    assert (await keys.of_bearer(KEY)).role is Role.VIEWER
    assert (await keys.of_bearer(colon)).role is Role.VIEWER
    assert (await keys.of_bearer(dots)).role is Role.OPERATOR, "a key with two dots is a key"


@pytest.mark.parametrize("keys", ["a", "admin:a", "viewer:", f"viewer:{KEY},"])
def test_a_key_without_a_role_is_no_key_and_the_error_does_not_tell_it(keys: str) -> None:
    with pytest.raises(SettingsError, match="is not ROLE:KEY"):
        access(gateway_api_keys=keys)


async def test_the_open_gateway_is_controlled_from_its_own_machine_only() -> None:
    assert (await access().of_request({})).role is Role.OPERATOR
    assert (await access(http_host="0.0.0.0", gateway_open=True).of_request({})).role is Role.VIEWER
    assert (await access(gateway_open=True).of_request({})).role is Role.VIEWER, "a proxy may stand before it"


@pytest.mark.parametrize("secret", ["", " ", "\n", "too-short", f"{'s' * 48}\n", f" {'s' * 48}"])
@pytest.mark.parametrize(
    "name", ["gateway_api_key", "gateway_api_keys", "gateway_jwt_secret", "gateway_session_secret"]
)
def test_what_is_no_secret_is_refused_at_start_and_opens_nothing(name: str, secret: str) -> None:
    """An empty key was one that everyone has; one that a file ends with a line's end was one that nobody has."""
    value = f"operator:{secret}" if name == "gateway_api_keys" else secret
    with pytest.raises(SettingsError, match=f"TAPEREADER_{name.upper()}") as refused:
        access(http_host="0.0.0.0", **{name: value})
    assert "too-short" not in str(refused.value)


def test_the_keys_of_an_issuer_need_an_audience() -> None:
    with pytest.raises(SettingsError, match="TAPEREADER_GATEWAY_JWT_AUDIENCE is needed"):
        access(gateway_jwt_jwks_url="https://issuer.example/keys")
    assert not access(gateway_jwt_jwks_url="https://issuer.example/keys", gateway_jwt_audience="scan").open


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("127.0.0.1:8000", True),
        ("localhost", True),
        ("LOCALHOST.:8000", True),
        ("[::1]:8000", True),
        ("192.168.1.7:8000", True),
        ("scan.example", True),
        ("scanner:8000", True),
        ("evil.example:8000", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("[", False),
        ("", False),
    ],
)
def test_an_open_gateway_answers_to_its_own_names_only(host: str, taken: bool) -> None:
    """Another site's name that was made to resolve to this machine is not one of them."""
    own = access(gateway_public_url="https://scan.example/", gateway_hosts=("scanner",))
    assert own.host_allowed(host) is taken
    assert access(gateway_api_key=KEY).host_allowed(host), "with a key the key decides"


def test_a_short_session_secret_is_refused() -> None:
    with pytest.raises(SettingsError, match="at least 32 characters, was 5"):
        access(gateway_session_secret="short")


async def test_a_sessions_cookie_counts_for_the_gateways_own_pages_only() -> None:
    locked = access(gateway_api_key=KEY)
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
