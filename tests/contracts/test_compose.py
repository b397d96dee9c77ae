"""The compose file speaks of settings, commands and files that there are."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from app.cli import GROUPS, cli
from app.local.kafka import KAFKA_COORDINATE
from app.settings import PREFIX, Settings
from app.topics import MAX_MESSAGE_BYTES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of the compose file."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.kafka.yml").read_text(encoding="utf-8"))["services"]
    return found


def test_every_variable_of_ours_is_a_setting(services: dict[str, Any]) -> None:
    names = {
        name for service in services.values() for name in service.get("environment", ()) if name.startswith(PREFIX)
    }
    assert names <= {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def test_every_service_of_ours_runs_a_command_that_there_is(services: dict[str, Any]) -> None:
    known = {command.name or command.callback.__name__ for command in cli.registered_commands if command.callback}
    ours = {service["command"][0] for service in services.values() if "command" in service}
    assert ours == {"topics", "simulate", "produce", "worker", "gateway"}
    assert ours <= known | set(GROUPS)


def test_every_service_that_goes_on_running_has_a_health_check(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"topics"}


def test_the_broker_is_the_one_that_up_starts(services: dict[str, Any]) -> None:
    kafka = services["kafka"]
    assert kafka["image"].split(":")[1] == KAFKA_COORDINATE.rsplit(":", 1)[1]
    assert kafka["environment"]["KAFKA_MESSAGE_MAX_BYTES"] == MAX_MESSAGE_BYTES
    assert kafka["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_the_image_copies_what_there_is() -> None:
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), line
