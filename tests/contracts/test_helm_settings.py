"""The environment and the command line of every container are those of the settings and of the commands."""

import json
import os
from typing import Any, get_args

import click
import pytest
import yaml
from pydantic import SecretStr
from typer.main import get_command

from app.commands import cli
from app.gateway.access.access import Access
from app.gateway.http.api import create_api
from app.observability.operations import Operations
from app.reference.rest import endpoint
from app.settings import PREFIX, Settings, Source
from producers.address import feed_address
from tests.chart_rendering import CHART, EXAMPLES, Container, containers, needs_chart_tools, rendered, template

pytestmark = needs_chart_tools


#: What those have in their Secrets that are not any text.
IN_SECRETS = {
    "REDIS_URL": "redis://:secret@redis.example.com:6379/0",
    "TAPEREADER_GATEWAY_API_KEYS": "viewer:one-of-sixteen-letters,operator:another-of-sixteen",
}


def secret_variables() -> set[str]:
    """Names of the variables that hold secrets."""
    found = set()
    for name, field in Settings.model_fields.items():
        if field.annotation is SecretStr or SecretStr in get_args(field.annotation):
            found.add(f"{PREFIX}{name.upper()}")
            choices = getattr(field.validation_alias, "choices", ())
            found |= {str(choice) for choice in choices if str(choice).isupper()}
    return found


def ours(name: str, *settings: str) -> list[Container]:
    """The containers of Tapereader's image that run one of its commands."""
    found = [each for each in containers(rendered(name, *settings).manifests) if each.is_ours]
    assert found
    return [each for each in found if "command" not in each.container]


def settings_of(container: Container, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings as the container's process reads them, from its environment and nothing else."""
    with monkeypatch.context() as patch:
        for name in list(os.environ):
            patch.delenv(name)
        for name, value in container.variables().items():
            patch.setenv(name, IN_SECRETS.get(name, value) if value.startswith("from ") else value)
        return Settings.load()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_environment_of_every_container_is_the_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for container in ours(name):
        settings = settings_of(container, monkeypatch)
        assert settings.kafka_bootstrap_servers
        assert settings.redis_url
        component = container.container["name"]
        if component == "gateway":
            assert Access(settings).open is settings.gateway_open
            assert settings.http_port == port_of(container, "http")
        elif component == "producer":
            assert settings.control_port == port_of(container, "control")
        elif component == "worker":
            assert settings.worker_http_port == port_of(container, "http")
            assert settings.group_instance_id == "tapereader-worker-0"
        elif component == "simulator":
            assert settings.simulator_port == port_of(container, "http")


def port_of(container: Container, name: str) -> int:
    """Number of a container's named port."""
    return int(next(port["containerPort"] for port in container.container["ports"] if port["name"] == name))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_probe_asks_for_what_the_process_answers(name: str) -> None:
    everywhere = {route.path for route in Operations(Settings.load(), "any").routes()}
    answered = {"gateway": {getattr(route, "path", None) for route in create_api(Settings.load()).routes}}
    probed = 0
    for container in ours(name):
        paths = {
            kind: container.container[kind]["httpGet"]["path"]
            for kind in ("startupProbe", "livenessProbe", "readinessProbe")
            if kind in container.container
        }
        assert set(paths.values()) <= answered.get(container.container["name"], everywhere), container.owner
        if not container.initial and "ports" in container.container:
            # Alive is another question than ready: who waits for others is not started again.
            assert (paths["livenessProbe"], paths["readinessProbe"]) == ("/healthz", "/readyz"), container.owner
            probed += 1
    assert probed >= 2


def test_prometheus_asks_for_what_the_processes_answer() -> None:
    everywhere = {route.path for route in Operations(Settings.load(), "any").routes()}
    monitors = rendered("production").of_kind("ServiceMonitor")
    assert set(monitors) == {"tapereader-gateway", "tapereader-producer", "tapereader-worker"}
    for name, monitor in monitors.items():
        endpoint_ = monitor["spec"]["endpoints"][0]
        assert endpoint_["path"] in everywhere
        # The gateway's metrics are for who has a key.
        assert ("authorization" in endpoint_) is (name == "tapereader-gateway")
    rules = rendered("production").of_kind("PrometheusRule")["tapereader-rules-tapereader"]["spec"]
    assert rules == yaml.safe_load((CHART / "rules" / "tapereader.yaml").read_text(encoding="utf-8"))
    dashboard = rendered("production").of_kind("ConfigMap")["tapereader-dashboard-tapereader"]
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["tapereader.json"]) == json.loads(
        (CHART / "dashboards" / "tapereader.json").read_text(encoding="utf-8")
    )


def test_settings_of_the_values_reach_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = (
        'settings={"publish_interval_ms":2000,"rest_requests_per_s":0.5,"cache_stale_ttl_s":12345678}',
        'gateway.settings={"publish_interval_ms":3000,"gateway_max_clients":1234567}',
        'worker.settings={"halting_codes":{"17":"limit state"},"resuming_codes":["18","19"]}',
    )
    found = {each.container["name"]: settings_of(each, monkeypatch) for each in ours("minimal", *changed)}
    assert {name: each.publish_interval_ms for name, each in found.items()} == {
        "gateway": 3000, "worker": 2000, "producer": 2000, "topics": 2000, "wait-for-topics": 2000,
    }  # fmt: skip
    assert found["gateway"].gateway_max_clients == 1_234_567
    assert found["worker"].cache_stale_ttl_s == 12_345_678
    assert found["worker"].rest_requests_per_s == 0.5
    assert found["worker"].halting_codes == {17: "limit state"}
    assert found["worker"].resuming_codes == (18, 19)


def test_kafka_is_spoken_to_as_the_values_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for container in ours("production"):
        settings = settings_of(container, monkeypatch).model_dump()
        assert settings["kafka_security_protocol"] == "SASL_SSL"
        assert settings["kafka_sasl_mechanism"] == "SCRAM-SHA-512"
        assert settings["kafka_username"] == "from tapereader-kafka/username"
        assert settings["kafka_password"].get_secret_value() == "from tapereader-kafka/password"
        assert settings["replication_factor"] == 3
        assert settings["min_insync_replicas"] == 2
    for container in ours("strimzi"):
        settings = settings_of(container, monkeypatch).model_dump()
        mount = next(each for each in container.container["volumeMounts"] if each["name"] == "kafka-tls")
        for name, key in (("ca", "ca.crt"), ("certificate", "user.crt"), ("key", "user.key")):
            assert str(settings[f"kafka_tls_{name}_file"]) == f"{mount['mountPath']}/{key}"
        volume = next(each for each in container.pod["spec"]["volumes"] if each["name"] == "kafka-tls")
        assert volume["secret"]["secretName"] == "tapereader-kafka"
    by_token = (
        'kafka.sasl.mechanism="OAUTHBEARER"',
        'kafka.sasl.oauth={"tokenUrl":"https://id.example.com/token","scope":"kafka"}',
    )
    for container in ours("production", *by_token):
        settings = settings_of(container, monkeypatch).model_dump()
        assert settings["kafka_oauth_token_url"] == "https://id.example.com/token"
        assert settings["kafka_oauth_client_id"] == "from tapereader-kafka/username"
        assert settings["kafka_oauth_client_secret"].get_secret_value() == "from tapereader-kafka/password"
        assert settings["kafka_username"] is None


def test_the_gateway_finds_the_producer_and_knows_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in EXAMPLES:
        services = rendered(name).of_kind("Service")
        gateway = next(each for each in ours(name) if each.container["name"] == "gateway")
        settings = settings_of(gateway, monkeypatch)
        if "tapereader-producer" in services:
            port = services["tapereader-producer"]["spec"]["ports"][0]["port"]
            assert settings.gateway_control_url == f"http://tapereader-producer:{port}"
        else:
            assert settings.gateway_control_url is None
        hosts = [
            rule["host"]
            for each in rendered(name).of_kind("Ingress").values()
            for rule in each["spec"].get("rules", ())
        ]
        assert settings.gateway_public_url == (f"https://{hosts[0]}" if hosts else None)
    own = 'gateway.settings={"gateway_public_url":"https://elsewhere.example.com"}'
    gateway = next(each for each in ours("production", own) if each.container["name"] == "gateway")
    assert settings_of(gateway, monkeypatch).gateway_public_url == "https://elsewhere.example.com"


def test_the_simulated_market_is_found_by_its_service(monkeypatch: pytest.MonkeyPatch) -> None:
    services = rendered("simulator").of_kind("Service")
    for container in ours("simulator"):
        settings = settings_of(container, monkeypatch)
        assert settings.source is Source.SIMULATOR
        if container.container["name"] == "simulator":
            assert settings.simulator_host == "0.0.0.0"
            continue
        assert settings.simulator_host in services
        place = f"{settings.simulator_host}:{settings.simulator_port}"
        assert feed_address(settings)[:2] == (f"ws://{place}/stocks", f"http://{place}")
        assert endpoint(settings)[0] == f"http://{place}"
        assert services[settings.simulator_host]["spec"]["ports"][0]["port"] == settings.simulator_port


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_secret_is_written_out(name: str) -> None:
    made = rendered(name)
    assert made.of_kind("Secret") == {}
    secrets = secret_variables()
    assert {"MASSIVE_API_KEY", "TAPEREADER_GATEWAY_API_KEY"} <= secrets
    for container in containers(made.manifests):
        for variable in container.container.get("env", ()):
            if variable["name"] in secrets:
                assert set(variable["valueFrom"]) == {"secretKeyRef"}, f"{container.owner}: {variable['name']}"


def test_no_secret_is_taken_as_a_setting() -> None:
    for variable in secret_variables():
        if variable.startswith(PREFIX):
            name = variable.removeprefix(PREFIX).lower()
            refused = template("minimal", f'gateway.settings={{"{name}":"hidden"}}')
            assert refused.code != 0, name
            assert f"settings.{name} is a secret" in refused.errors
            assert "hidden" not in refused.errors


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_container_runs_a_command_that_there_is(name: str) -> None:
    for container in ours(name):
        command: Any = get_command(cli)
        for argument in container.container["args"]:
            context = click.Context(command)
            command = command.get_command(context, argument)
            assert command is not None, f"{container.owner}: tapereader {' '.join(container.container['args'])}"
        assert not hasattr(command, "commands"), f"{container.owner}: a group is no command"
