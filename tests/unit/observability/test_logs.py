"""Logs never show a secret, whatever stands in them."""

import json

import pytest
import structlog

from app.observability.logs import configure, mask
from app.settings import Settings


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("GET /v3?apiKey=abc123&limit=1", "GET /v3?apiKey=***&limit=1", id="query"),
        pytest.param("Authorization: Bearer abc123", "Authorization: Bearer ***", id="header"),
        pytest.param("redis://me:pass@host:6379/0", "redis://me:***@host:6379/0", id="url"),
        pytest.param("redis://:pass@host:6379/0", "redis://:***@host:6379/0", id="url-without-user"),
        pytest.param("redis://host:6379/0", "redis://host:6379/0", id="nothing-to-hide"),
        pytest.param("http://127.0.0.1:8000/", "http://127.0.0.1:8000/", id="port-is-no-password"),
    ],
)
def test_a_secret_in_a_text_is_hidden(text: str, shown: str) -> None:
    assert mask(text) == shown


def test_a_secret_under_its_key_is_hidden_and_a_records_key_is_not(capfd: pytest.CaptureFixture[str]) -> None:
    configure(Settings.load(log_json=True))
    try:
        structlog.get_logger().info("asked", api_key="abc123", key="AAPL", url="redis://:abc123@host/0")
    finally:
        structlog.reset_defaults()
    line = json.loads(capfd.readouterr().err)
    assert line["event"] == "asked"
    assert line["key"] == "AAPL"
    assert "abc123" not in str(line)
