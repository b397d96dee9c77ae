"""People sign in at a provider, and what they may do then; the gateway without its broker."""

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import web
from joserfc.jwk import RSAKey

from app.errors import SettingsError
from app.gateway.access.access import Access
from app.gateway.access.identity import Role
from app.gateway.http.api import create_api
from app.settings import Settings
from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider

HOST = "http://scan.example"
CONTROL = {"X-Tapereader-Control": "1"}


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with Provider().served() as found:
        yield found


@pytest.fixture
async def browser(provider: Provider) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings.load(
        gateway_oidc_issuer=provider.issuer, gateway_oidc_client_id=CLIENT_ID, gateway_oidc_client_secret=CLIENT_SECRET
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_api(settings)), base_url=HOST) as client:
        yield client


async def sign_in(browser: httpx.AsyncClient, page: str = "/") -> httpx.Response:
    """What the browser does, from the button to the last answer before the page."""
    away = await browser.get("/auth/login", params={"next": page})
    async with httpx.AsyncClient() as outside:
        back = await outside.get(away.headers["location"])
    return await browser.get(back.headers["location"])


async def test_who_signs_in_has_a_session_and_a_token(browser: httpx.AsyncClient) -> None:
    before = (await browser.get("/api/session")).json()
    assert (before["mode"], before["signed_in"], before["login_url"]) == ("login", False, "/auth/login")
    assert (await browser.get("/api/status")).status_code == 401
    done = await sign_in(browser, "/operator?a=1")
    assert (done.status_code, done.headers["location"]) == (303, "/operator?a=1")
    cookie = done.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    session = (await browser.get("/api/session")).json()
    assert (session["subject"], session["name"], session["role"]) == ("ann", "Ann Example", "operator")
    assert session["token_expires_ms"] > time.time() * 1000
    assert (await browser.get("/api/status")).status_code == 200
    browser.cookies.clear()
    headers = {"Authorization": f"Bearer {session['token']}"}
    assert (await browser.get("/api/status", headers=headers)).status_code == 200, "the token stands for the session"


async def test_the_end_of_a_session(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    assert (await browser.post("/auth/logout")).status_code == 204
    assert (await browser.get("/api/session")).json()["signed_in"] is False


async def test_a_cookie_of_ones_own_making_is_nobodys(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    value = browser.cookies["tapereader_session"]
    browser.cookies.clear()
    browser.cookies.set("tapereader_session", ("A" if value[0] != "A" else "B") + value[1:])
    assert (await browser.get("/api/status")).status_code == 401


async def test_a_viewer_does_not_control(browser: httpx.AsyncClient, provider: Provider) -> None:
    provider.claims = {"sub": "bob"}
    await sign_in(browser)
    answer = await browser.get("/api/operator/processes")
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:tapereader:problem:not-an-operator")


async def test_another_site_cannot_use_the_session(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    assert (await browser.get("/api/operator/feeds")).status_code == 200
    foreign = {"Origin": "https://evil.example", **CONTROL}
    assert (await browser.post("/api/operator/workers/worker-1/restart", headers=foreign)).status_code == 401
    bare = await browser.post("/api/operator/workers/worker-1/restart")
    assert (bare.status_code, bare.json()["type"]) == (403, "urn:tapereader:problem:no-control-header")


@pytest.mark.parametrize("page", [
    "https://evil.example", "//evil.example", "/\\evil.example", "evil", "/%2fevil.example", "/%2Fevil.example",
    "/%252fevil.example", "/%5cevil.example", "/\t/evil.example", "/%09/evil.example", "", "javascript:alert(1)",
])  # fmt: skip
async def test_after_the_sign_in_one_stays_with_the_gateway(browser: httpx.AsyncClient, page: str) -> None:
    assert (await sign_in(browser, page)).headers["location"] == "/"


@pytest.mark.parametrize("wrong", ["signature", "audience", "issuer", "nonce", "expired"])
async def test_a_wrong_id_token_signs_nobody_in(browser: httpx.AsyncClient, provider: Provider, wrong: str) -> None:
    if wrong == "signature":
        provider.signed_by = RSAKey.generate_key(2048, {"kid": "one"})
    changes: dict[str, dict[str, Any]] = {
        "audience": {"aud": "another"}, "issuer": {"iss": "https://evil.example"}, "nonce": {"nonce": "x"},
        "expired": {"exp": int(time.time()) - 3600},
    }  # fmt: skip
    provider.claims |= changes.get(wrong, {})
    answer = await sign_in(browser)
    assert answer.status_code == 401, answer.text
    assert answer.json()["type"] == "urn:tapereader:problem:login-failed"
    assert (await browser.get("/api/session")).json()["signed_in"] is False


async def test_a_callback_that_nobody_began_signs_nobody_in(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/auth/callback?code=x&state=y")).status_code == 401


async def test_a_provider_that_fails_is_named_and_nothing_breaks(
    browser: httpx.AsyncClient, provider: Provider
) -> None:
    """Whatever its token endpoint answers: not JSON, JSON of another form, an error, nothing at all."""
    for answer in (
        web.Response(text="<html>oops</html>", content_type="text/html"),
        web.Response(text="[1, 2]", content_type="application/json"),
        web.Response(text="null", content_type="application/json"),
        web.Response(status=500, text="oops"),
        None,
    ):
        away = await browser.get("/auth/login")
        async with httpx.AsyncClient() as outside:
            back = await outside.get(away.headers["location"])
        provider.token_answer = answer
        if answer is None:
            await provider.end()
        found = await browser.get(back.headers["location"])
        assert found.status_code in (401, 502), found.text
        assert found.json()["type"].rpartition(":")[2] in ("login-failed", "provider-unavailable")
        assert (await browser.get("/api/session")).json()["signed_in"] is False


async def test_an_open_gateway_refuses_another_site_s_name() -> None:
    transport = httpx.ASGITransport(create_api(Settings.load()))
    async with httpx.AsyncClient(transport=transport, base_url="http://evil.example:8000") as client:
        for path in ("/api/session", "/api/operator/processes", "/", "/healthz", "/openapi.json"):
            refused = await client.get(path)
            assert (refused.status_code, refused.json()["type"]) == (421, "urn:tapereader:problem:unknown-host")


async def test_half_a_provider_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match="TAPEREADER_GATEWAY_OIDC_CLIENT_ID is needed"):
        create_api(Settings.load(gateway_oidc_issuer="https://issuer.example"))


async def test_in_open_mode_there_is_nobody_to_sign_in() -> None:
    transport = httpx.ASGITransport(create_api(Settings.load()))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        session = (await client.get("/api/session")).json()
        assert (session["mode"], session["signed_in"], session["token"]) == ("open", True, None)
        assert session["role"] == Role.OPERATOR.label
        processes = await client.get("/api/operator/processes", headers={"Origin": "https://evil.example"})
        assert processes.status_code == 403


async def test_the_producers_control_is_reached_through_the_gateway() -> None:
    held = ["A.*"]

    async def get(_: web.Request) -> web.Response:
        return web.json_response(held)

    async def put(request: web.Request) -> web.Response:
        held[:] = await request.json()
        return web.json_response(held) if held else web.json_response({"error": "no channels"}, status=400)

    app = web.Application()
    app.add_routes([web.get("/subscriptions", get), web.put("/subscriptions", put)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = Settings.load(gateway_control_url=f"http://127.0.0.1:{runner.addresses[0][1]}")
    transport = httpx.ASGITransport(create_api(settings))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=CONTROL) as client:
            assert (await client.get("/api/operator/subscriptions")).json() == ["A.*"]
            answer = await client.put("/api/operator/subscriptions", json=["T.AAPL"])
            assert (answer.json(), held) == (["T.AAPL"], ["T.AAPL"])
            refused = await client.put("/api/operator/subscriptions", json=[])
            assert (refused.status_code, refused.json()["detail"]) == (400, "no channels")
    finally:
        await runner.cleanup()
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        assert (await client.get("/api/operator/subscriptions")).status_code == 502


def test_a_gateway_with_a_provider_is_not_open() -> None:
    assert not Access(Settings.load(http_host="0.0.0.0", gateway_oidc_issuer="https://issuer.example")).open
