"""What the chart carries, run for real: the bundled broker's properties, and what `helm test` runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from app.errors import StartupError
from app.kafka.admin import check_topics, ensure_topics
from app.kafka.topics import ALL_TOPICS, MAX_MESSAGE_BYTES
from app.local.java import jars, runtime
from app.local.kafka import HEAP_OPTIONS, LocalKafka
from app.local.processes import ManagedProcess
from tests.chart_rendering import CHART, containers, needs_chart_tools, rendered
from tests.conftest import free_port
from tests.gateway_stack import GatewayProcess

pytestmark = [pytest.mark.timeout(150)]


def properties() -> dict[str, str]:
    """The bundled broker's properties, as the chart renders them."""
    text = rendered("simulator").of_kind("ConfigMap")["tapereader-kafka"]["data"]["server.properties"]
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@needs_chart_tools
async def test_a_broker_starts_on_the_bundled_properties_and_takes_the_topics(tmp_path: Path) -> None:
    told = properties()
    assert int(told["message.max.bytes"]) == MAX_MESSAGE_BYTES
    port, controller_port = free_port(), free_port()
    # On one machine, in place of a pod's own addresses and its volume.
    placed = {
        name: value.replace("localhost:9093", f"127.0.0.1:{controller_port}")
        .replace("tapereader-kafka:9092", f"127.0.0.1:{port}")
        .replace("PLAINTEXT://:9092", f"PLAINTEXT://127.0.0.1:{port}")
        .replace("/var/lib/kafka/data", str(tmp_path / "data"))
        for name, value in told.items()
    }
    assert sum(placed[name] != told[name] for name in told) == 4
    configuration = tmp_path / "server.properties"
    configuration.write_text("".join(f"{name}={value}\n" for name, value in placed.items()), encoding="utf-8")
    classes = ["-cp", os.pathsep.join(map(str, jars()))]
    kafka = next(each for each in containers(rendered("simulator").manifests) if each.container["name"] == "kafka")
    cluster_id = kafka.variables()["CLUSTER_ID"]
    # As the pod's command does it, with the programs behind its scripts.
    assert "kafka-storage.sh format --ignore-formatted" in kafka.container["args"][0]
    subprocess.run(
        [
            str(runtime()), *classes, "kafka.tools.StorageTool", "format", "--ignore-formatted",
            "--cluster-id", cluster_id, "--config", str(configuration),
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    broker = LocalKafka(tmp_path, port, controller_port)
    broker.process = ManagedProcess(
        "kafka", (str(runtime()), *HEAP_OPTIONS, *classes, "kafka.Kafka", str(configuration)), tmp_path / "kafka.log"
    )
    broker.process.start()
    try:
        broker.wait_ready()
        assert len(await ensure_topics(broker.bootstrap_servers, ALL_TOPICS, 2)) == len(ALL_TOPICS)
        await check_topics(broker.bootstrap_servers, ALL_TOPICS, 2)
    except StartupError as error:
        pytest.fail(f"{error}\n{broker.process.last_lines(40)}")
    finally:
        broker.stop()


def helm_test(gateway: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the pod of `helm test` runs, against a gateway."""
    return subprocess.run(
        [sys.executable, "-c", (CHART / "files" / "gateway_test.py").read_text(encoding="utf-8")],
        capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": os.environ["PATH"], "GATEWAY": gateway, "TIMEOUT_S": "5"} | environment,
    )  # fmt: skip


async def test_helm_test_tells_a_gateway_that_serves_from_one_that_does_not(tmp_path: Path, broker_url: str) -> None:
    await ensure_topics(broker_url, ALL_TOPICS, 4)
    gateway = GatewayProcess(broker_url, tmp_path / "gateway.log", gateway_api_key="the key of the house")
    gateway.start()
    try:
        place = f"127.0.0.1:{gateway.port}"
        passed = helm_test(place, GATEWAY_KEY="the key of the house")
        assert passed.returncode == 0, passed.stderr
        assert "subscribed to scanners:top_volume" in passed.stdout
        assert "the key of the house" not in passed.stdout
        refused = helm_test(place, GATEWAY_KEY="another")
        assert refused.returncode != 0
        assert "auth: expected authorized" in refused.stderr
    finally:
        gateway.stop()
    away = helm_test(place, GATEWAY_KEY="the key of the house")
    assert away.returncode != 0
    assert f"{place} is not ready" in away.stderr


@needs_chart_tools
def test_the_pod_of_helm_test_runs_this_very_script() -> None:
    pod = rendered("minimal").of_kind("Pod")["tapereader-test"]
    container = pod["spec"]["containers"][0]
    assert container["command"] == ["python", "-c"]
    assert container["args"] == [(CHART / "files" / "gateway_test.py").read_text(encoding="utf-8")]
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    given = {each["name"]: each.get("value") for each in container["env"]}
    assert given["GATEWAY"] == f"tapereader-gateway:{values['gateway']['service']['port']}"
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
