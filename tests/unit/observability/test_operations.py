"""What a process answers to those who run it."""

import json

import pytest
import structlog

from app.observability import logs
from app.observability.operations import Operations, is_loopback
from app.settings import Settings


@pytest.mark.parametrize(
    ("remote", "own"),
    [("127.0.0.1", True), ("::1", True), ("127.8.8.8", True), ("10.0.0.1", False), ("fe80::1", False),
     (None, False), ("localhost.evil", False)],
)  # fmt: skip
def test_only_this_machine_is_this_machine(remote: str | None, own: bool) -> None:
    assert is_loopback(remote) is own


def test_the_level_is_changed_from_this_machine_only(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings.load(log_json=True, log_level="WARNING"))
    try:
        log = structlog.get_logger()
        log.info("before")
        assert Operations.level("10.0.0.1", b'{"level":"DEBUG"}')[0] == 403
        assert Operations.level("127.0.0.1") == (200, {"level": "WARNING"})
        assert Operations.level("127.0.0.1", b'{"level":"INFO"}') == (200, {"level": "INFO"})
        log.info("after")
        log.debug("still too low")
        for body in (b"", b"[]", b'{"level":1}', b'{"level":"LOUD"}', b"{}"):
            assert Operations.level("127.0.0.1", body)[0] == 400
    finally:
        structlog.reset_defaults()
    assert [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()] == ["after"]


def test_readiness_is_503_with_its_reasons_until_there_are_none() -> None:
    reasons = ["reading the tables back: 7 records to go"]
    operations = Operations(Settings.load(), "worker", lambda: reasons, lambda: {"lag": 7})
    assert operations.readiness() == (503, {"ready": False, "reasons": reasons})
    assert "tapereader_ready 0.0" in operations.meters.exposition().decode()
    assert operations.health()["lag"] == 7
    reasons = []
    assert operations.readiness() == (200, {"ready": True, "reasons": []})
    assert "tapereader_ready 1.0" in operations.meters.exposition().decode()
    operations.meters.close()
