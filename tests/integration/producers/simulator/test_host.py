"""The simulated market at an address of its own, as a service of a cluster is: who listens and who asks agree on it."""

import asyncio
import contextlib
import socket
import sys

import httpx
import pytest

from app.reference.rest import endpoint
from app.settings import Settings
from producers.address import feed_address
from producers.simulator import serve
from tests.conftest import free_port
from tests.eventually import eventually

#: Another address of this machine's own; Linux has all of 127.0.0.0/8.
ELSEWHERE = "127.0.0.2"


@pytest.mark.may_skip("only Linux has a second loopback address as it is")
async def test_the_simulator_is_found_where_the_settings_say() -> None:
    if sys.platform != "linux":
        pytest.skip("no second loopback address")
    settings = Settings.load(simulator_host=ELSEWHERE, simulator_port=free_port(), symbols=5)
    serving = asyncio.create_task(serve(settings))
    try:
        websocket_url, rest_url, _ = feed_address(settings)
        assert endpoint(settings)[0] == rest_url
        assert websocket_url.startswith(f"ws://{ELSEWHERE}:{settings.simulator_port}/")
        async with httpx.AsyncClient() as client:

            async def answers() -> bool:
                assert not serving.done(), serving
                with contextlib.suppress(httpx.TransportError):
                    return (await client.get(f"{rest_url}/readyz")).status_code == 200
                return False

            await eventually(answers)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", settings.simulator_port)) != 0
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
