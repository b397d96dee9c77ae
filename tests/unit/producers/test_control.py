"""What the producer's control takes, and from whom; without Kafka and without a feed."""

import aiohttp
import pytest

from app.observability.operations import CONTROL_HEADER
from app.settings import Settings
from producers.control import MAX_BODY_BYTES, serve_control
from producers.live import LiveProducer
from producers.publisher import Publisher

CONTROL = {CONTROL_HEADER: "test"}


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        pytest.param({}, "expected the header X-Tapereader-Control", id="form"),
        pytest.param(CONTROL | {"Origin": "http://elsewhere.example"}, "web pages may not control", id="another-site"),
        pytest.param(CONTROL | {"Origin": "http://127.0.0.1:4200"}, "web pages may not control", id="rebound-name"),
        pytest.param(CONTROL | {"Sec-Fetch-Site": "cross-site"}, "web pages may not control", id="browser"),
    ],
)
async def test_a_web_page_does_not_control_the_producer(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], text: str
) -> None:
    monkeypatch.setenv("TAPEREADER_SOURCE", "simulator")
    producer = LiveProducer(Settings.load(), Publisher("127.0.0.1:1"))
    async with serve_control(producer, 0) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        async with http.post("/stop", headers=headers) as answer:
            assert answer.status == 403
            assert text in (await answer.json())["error"]
        assert producer.wanted.is_set()


async def test_a_program_controls_the_producer_and_large_bodies_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPEREADER_SOURCE", "simulator")
    producer = LiveProducer(Settings.load(), Publisher("127.0.0.1:1"))
    async with serve_control(producer, 0) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        async with http.put("/subscriptions", data=b" " * (MAX_BODY_BYTES + 1), headers=CONTROL) as answer:
            assert answer.status == 413
        async with http.put("/subscriptions", data=b"[" * 5000, headers=CONTROL) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]
        async with http.put("/subscriptions", json=["T.AAPL"], headers=CONTROL) as answer:
            assert (answer.status, await answer.json()) == (200, ["T.AAPL"])
        async with http.post("/stop", headers=CONTROL) as answer:
            assert await answer.json() == {"wanted": False}
        assert not producer.wanted.is_set()
        async with http.get("/healthz") as answer:
            assert answer.status == 200
