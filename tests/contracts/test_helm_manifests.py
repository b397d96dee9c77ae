"""What the chart renders is what Kubernetes knows, and its parts find each other."""

import itertools
import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.kafka.topics import RAW_TOPICS, UNKNOWN
from tests.chart_rendering import EXAMPLES, IMAGE, containers, needs_chart_tools, pods, rendered, template, tool
from tests.chart_tools import CRDS

pytestmark = needs_chart_tools

#: What kube-score asks for and the chart does not do, each with its reason.
IGNORED = {
    "--ignore-test=container-image-pull-policy": "tags are versions: a node that has the image need not fetch it again",
    "--ignore-container-cpu-limit": "a limit holds a worker up in a burst that the node has room for",
}
#: One node runs one gateway: a second one beside it would go with it.
IGNORED_IN = dict.fromkeys(("one-node", "simulator"), ("--ignore-test=deployment-replicas",))
#: The example that shows how network policies and disruption budgets are left out.
WITHOUT_PROTECTION = ("replay",)
OWN_CRDS = Path(__file__).parent / "crds"


@pytest.mark.parametrize("version", ["1.27", "1.30"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_kubernetes_knows_every_field_of_every_resource(name: str, version: str, tmp_path: Path) -> None:
    crds = tmp_path / "crds"
    crds.mkdir()
    for path in itertools.chain(CRDS.glob("*.yaml"), OWN_CRDS.glob("*.yaml")):
        (crds / path.name).write_bytes(path.read_bytes())
    resources = tmp_path / "resources"
    resources.mkdir()
    for number, manifest in enumerate(rendered(name).manifests):
        (resources / f"{number:02}-{manifest['kind']}.yaml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
    done = subprocess.run(
        [tool("kubectl-validate"), "--version", version, "--local-crds", str(crds), str(resources)],
        capture_output=True, text=True, timeout=55, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_field_that_there_is_not_is_found(tmp_path: Path) -> None:
    manifest = rendered("strimzi").of_kind("KafkaTopic")["tapereader.market.quotes"]
    manifest["spec"]["partitions"] = "many"
    (tmp_path / "topic.yaml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
    done = subprocess.run(
        [tool("kubectl-validate"), "--version", "1.30", "--local-crds", str(OWN_CRDS), str(tmp_path / "topic.yaml")],
        capture_output=True, text=True, timeout=55, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "spec.partitions" in done.stdout + done.stderr


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in WITHOUT_PROTECTION])
def test_kube_score_finds_nothing(name: str) -> None:
    done = subprocess.run(
        [
            tool("kube-score"), "score", "--output-format", "json", "--kubernetes-version", "v1.30",
            *IGNORED, *IGNORED_IN.get(name, ()), "-",
        ],
        input=rendered(name).output, capture_output=True, text=True, timeout=55, check=False,
    )  # fmt: skip
    found = [
        f"{each['object_name']}: {check['check']['id']}: {comment['summary']} {comment['description']}"
        for each in json.loads(done.stdout)
        for check in each["checks"]
        if not check["skipped"] and check["grade"] < 10
        for comment in check["comments"] or [{"summary": "", "description": ""}]
    ]
    assert found == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_pod_runs_without_rights(name: str) -> None:
    for owner, pod in pods(rendered(name).manifests):
        assert pod["spec"]["automountServiceAccountToken"] is False, owner
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, owner
    for container in containers(rendered(name).manifests):
        allowed = container.container["securityContext"]
        assert allowed["readOnlyRootFilesystem"] is True, container.owner
        assert allowed["runAsNonRoot"] is True, container.owner
        assert allowed["allowPrivilegeEscalation"] is False, container.owner
        assert allowed["capabilities"] == {"drop": ["ALL"]}, container.owner
        assert "memory" in container.container["resources"]["limits"], container.owner
        assert {"cpu", "memory"} <= set(container.container["resources"]["requests"]), container.owner
        if container.is_ours:
            assert "/tmp" in [mount["mountPath"] for mount in container.container["volumeMounts"]], container.owner


def _selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_refers_to_pods_finds_them(name: str) -> None:
    made = rendered(name)
    labels = {owner: pod["metadata"]["labels"] for owner, pod in pods(made.manifests)}
    ports = {owner: _port_names(pod) for owner, pod in pods(made.manifests)}
    for service in made.of_kind("Service").values():
        owners = [owner for owner, each in labels.items() if _selects(service["spec"]["selector"], each)]
        assert len(owners) == 1, service["metadata"]["name"]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports[owners[0]]
    for kind in ("PodDisruptionBudget",):
        for budget in made.of_kind(kind).values():
            assert any(_selects(budget["spec"]["selector"]["matchLabels"], each) for each in labels.values())
    for monitor in made.of_kind("ServiceMonitor").values():
        found = [
            service
            for service in made.of_kind("Service").values()
            if _selects(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"])
        ]
        assert len(found) == 1
        assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in found[0]["spec"]["ports"]}
    for ingress in made.of_kind("Ingress").values():
        for rule in ingress["spec"]["rules"]:
            backend = rule["http"]["paths"][0]["backend"]["service"]
            assert backend["port"]["name"] == made.of_kind("Service")[backend["name"]]["spec"]["ports"][0]["name"]
    for scaled in [*made.of_kind("ScaledObject").values(), *made.of_kind("HorizontalPodAutoscaler").values()]:
        target = scaled["spec"]["scaleTargetRef"]
        assert "replicas" not in made.of_kind(target["kind"])[target["name"]]["spec"]


def _port_names(pod: dict[str, Any]) -> set[str]:
    return {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", ())}


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in WITHOUT_PROTECTION])
def test_every_pod_has_one_network_policy(name: str) -> None:
    made = rendered(name)
    policies = made.of_kind("NetworkPolicy").values()
    for owner, pod in pods(made.manifests):
        found = [
            policy
            for policy in policies
            if _selects(policy["spec"]["podSelector"]["matchLabels"], pod["metadata"]["labels"])
        ]
        assert len(found) == 1, owner
        assert found[0]["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_ports_of_kafka_are_let_through() -> None:
    policies = rendered("production", 'kafka.bootstrapServers="a.example.com:9093,b.example.com:9193"').of_kind(
        "NetworkPolicy"
    )
    for component in ("producer", "worker", "gateway", "topics"):
        egress = policies[f"tapereader-{component}"]["spec"]["egress"]
        assert {9093, 9193} <= {port["port"] for rule in egress for port in rule["ports"]}


def test_only_the_gateway_is_published() -> None:
    for name in EXAMPLES:
        made = rendered(name)
        for ingress in made.of_kind("Ingress").values():
            for rule in ingress["spec"]["rules"]:
                names = [path["backend"]["service"]["name"] for path in rule["http"]["paths"]]
                assert names == ["tapereader-gateway"]
        for service in made.of_kind("Service").values():
            assert service["spec"].get("type", "ClusterIP") == "ClusterIP"


def test_a_websocket_is_not_ended_by_the_ingress() -> None:
    ingress = rendered("production").of_kind("Ingress")["tapereader-gateway"]
    for name in ("proxy-read-timeout", "proxy-send-timeout"):
        # A ping goes every 20 s: whatever is above that keeps a quiet connection.
        assert int(ingress["metadata"]["annotations"][f"nginx.ingress.kubernetes.io/{name}"]) >= 60


def test_a_change_makes_another_job_of_the_topics() -> None:
    def names(*settings: str) -> set[str]:
        return set(rendered("minimal", *settings).of_kind("Job"))

    assert names() == names("worker.replicas=3", "gateway.replicas=3")
    assert len(names() | names("partitions=16") | names("kafka.replicationFactor=5")) == 3
    assert names() != names('image.tag="0.2.0"')


def test_one_producer_at_a_time() -> None:
    for name in EXAMPLES:
        for producer in (
            each for each in rendered(name).of_kind("Deployment").values() if "producer" in each["metadata"]["name"]
        ):
            assert producer["spec"]["replicas"] == 1
            assert producer["spec"]["strategy"] == {"type": "Recreate"}


def test_workers_are_scaled_by_the_lag_of_every_topic_that_they_read() -> None:
    scaled = rendered("keda").of_kind("ScaledObject")["tapereader-worker"]["spec"]
    assert {trigger["metadata"]["topic"] for trigger in scaled["triggers"]} == {
        f"tapereader.{topic.name}" for topic in RAW_TOPICS if topic is not UNKNOWN
    }
    assert {trigger["metadata"]["sasl"] for trigger in scaled["triggers"]} == {"scram_sha256"}
    authentication = rendered("keda").of_kind("TriggerAuthentication")["tapereader-worker"]["spec"]
    assert {each["parameter"] for each in authentication["secretTargetRef"]} == {"username", "password"}
    assert rendered("minimal").of_kind("ScaledObject") == {}


def test_names_stay_within_what_kubernetes_takes() -> None:
    made = rendered("simulator", f'fullnameOverride="{"a" * 60}"')
    for (kind, name), count in Counter((each["kind"], each["metadata"]["name"]) for each in made.manifests).items():
        assert count == 1
        # A StatefulSet's pods add an ordinal, its revisions a hash.
        assert len(name) <= 52, f"{kind} {name}"


def test_the_image_can_be_named_by_digest() -> None:
    digest = f"sha256:{'a' * 64}"
    found = {each.container["image"] for each in containers(rendered("minimal", f'image.digest="{digest}"').manifests)}
    assert found == {f"tapereader@{digest}"}
    assert template("minimal", 'image.digest="sha256:short"').code != 0
    assert IMAGE in {each.container["image"] for each in containers(rendered("minimal").manifests)}
