"""The command line: help that teaches, one clear sentence for what goes wrong, no secret shown."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import __version__
from app.settings import PREFIX, Settings
from tests.conftest import free_port

COMMANDS = (
    *("up", "down", "status", "doctor", "simulate", "produce", "worker", "gateway", "record", "replay"),
    *("config", "topics", "cache", "contract", "dead-letters"),
)


def tapereader(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command, run to its end in an environment without settings of whoever runs the tests."""
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        capture_output=True, text=True, timeout=50, check=False,
        env={"PATH": os.environ["PATH"], "COLUMNS": "200"} | environment,
    )  # fmt: skip


def test_help_names_every_command_and_shows_how_to_begin() -> None:
    printed = tapereader("--help").stdout
    assert [name for name in COMMANDS if f" {name} " not in printed] == []
    assert "tapereader up" in printed


@pytest.mark.parametrize("name", ["up", "replay"])
def test_the_help_of_what_has_many_switches_has_an_example(name: str) -> None:
    answer = tapereader(name, "--help")
    assert answer.returncode == 0
    assert "Example" in answer.stdout


def test_every_switch_of_up_is_a_setting() -> None:
    from typer.main import get_command

    from app.commands import cli

    command = get_command(cli).get_command(None, "up")  # type: ignore[attr-defined]
    assert {parameter.name for parameter in command.params} <= set(Settings.model_fields)


def test_the_version_is_printed() -> None:
    assert tapereader("--version").stdout.strip() == f"tapereader {__version__}"


def test_config_doc_has_every_setting() -> None:
    printed = tapereader("config", "doc").stdout
    assert [name for name in Settings.model_fields if f"{PREFIX}{name.upper()}" not in printed] == []


def test_config_show_hides_secrets() -> None:
    printed = tapereader(
        "config",
        "show",
        MASSIVE_API_KEY="abc123",
        REDIS_URL="redis://me:abc123@host/0",
        TAPEREADER_GATEWAY_API_KEY="abc123",
    ).stdout
    assert "abc123" not in printed
    assert "TAPEREADER_REDIS_URL=redis://me:***@host/0" in printed


@pytest.mark.parametrize("command", [("config", "check"), ("up",), ("status",), ("doctor",), ("worker",)])
def test_a_wrong_setting_is_one_clear_sentence(command: tuple[str, ...]) -> None:
    answer = tapereader(*command, TAPEREADER_WORKERS="many")
    assert answer.returncode == 1
    assert "TAPEREADER_WORKERS = 'many'" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_status_without_a_running_up_says_what_to_do(tmp_path: Path) -> None:
    answer = tapereader("status", "--data-dir", str(tmp_path))
    assert answer.returncode == 3
    assert "tapereader up" in answer.stderr


def test_down_without_a_running_up_is_no_error(tmp_path: Path) -> None:
    answer = tapereader("down", "--data-dir", str(tmp_path))
    assert answer.returncode == 0
    assert "nothing runs" in answer.stdout


@pytest.mark.parametrize("speed", ["0", "-1", "fast"])
def test_replay_refuses_a_speed_that_is_none(tmp_path: Path, speed: str) -> None:
    answer = tapereader("replay", str(tmp_path / "tape.ndjson"), "--speed", speed)
    assert answer.returncode != 0
    assert "expected a number above 0, or max" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("name", ["config", "topics", "cache", "dead-letters"])
def test_every_group_of_commands_has_help(name: str) -> None:
    answer = tapereader(name, "--help")
    assert answer.returncode == 0, answer.stderr
    assert f"tapereader {name}" in answer.stdout


def test_a_kafka_that_is_not_there_is_one_clear_sentence() -> None:
    address = f"127.0.0.1:{free_port()}"
    answer = tapereader("topics", "check", KAFKA_BOOTSTRAP_SERVERS=address)
    assert answer.returncode == 1
    assert f"Kafka at {address} does not answer" in answer.stderr
    assert "Traceback" not in answer.stderr
