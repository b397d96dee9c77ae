"""The chart: it renders for every values file, refuses what does not go together, and documents itself."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import __version__
from app.kafka.topics import ALL_TOPICS
from tests.chart_rendering import (
    CHART,
    EXAMPLES,
    containers,
    example,
    helm,
    needs_chart_tools,
    rendered,
    template,
    tool,
)
from tests.chart_tools import write_readme

pytestmark = needs_chart_tools

#: Ways to install that are independent of each other: each is tried with each of the others.
CHOICES: dict[str, tuple[tuple[str, ...], ...]] = {
    "topics": (('topics.mode="job"',), ('topics.mode="none"',)),
    "network": (("networkPolicy.enabled=true",), ("networkPolicy.enabled=false",)),
    "scaling": ((), ("gateway.autoscaling.enabled=true",), ('worker.keda={"enabled":true,"maxReplicas":8}',)),
    "seen from outside": (
        (),
        (
            "metrics.serviceMonitor.enabled=true",
            "metrics.prometheusRule.enabled=true",
            'gateway.ingress={"enabled":true,"hosts":["a.example.com","b.example.com"]}',
        ),
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_passes_the_strict_linter_without_a_warning(name: str) -> None:
    linted = helm("lint", "--strict", str(CHART), "--values", str(example(name)))
    assert linted.code == 0, linted.output + linted.errors
    assert "[WARNING]" not in linted.output
    assert "[ERROR]" not in linted.output


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_renders_without_a_warning(name: str) -> None:
    kinds = {manifest["kind"] for manifest in rendered(name).manifests}
    assert {"Deployment", "StatefulSet", "Service"} <= kinds


@pytest.mark.parametrize("base", ["minimal", "simulator", "replay"])
def test_ways_to_install_go_together(base: str) -> None:
    for chosen in itertools.product(*CHOICES.values()):
        settings = tuple(setting for choice in chosen for setting in choice)
        made = rendered(base, *settings)
        seen = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in made.manifests]
        assert len(seen) == len(set(seen)), f"{base} {settings}: two resources of one name"


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("minimal", ("worker.replicas=9",), "worker.replicas is 9 and partitions is 8"),
        ("minimal", ('worker.keda={"enabled":true,"maxReplicas":9}',), "worker.keda.maxReplicas is 9"),
        ("keda", ("worker.keda.minReplicas=12",), "the least may not be above the most"),
        ("production", ("gateway.autoscaling.minReplicas=20",), "the least may not be above the most"),
        ("minimal", ('kafka.bootstrapServers=""',), "no Kafka: set kafka.bootstrapServers"),
        ("minimal", ("kafka.bundled.enabled=true",), "kafka.bootstrapServers and kafka.bundled.enabled are both set"),
        ("simulator", ("kafka.replicationFactor=3",), "kafka.bundled.enabled runs one broker"),
        ("minimal", ("kafka.minInsyncReplicas=4",), "nothing could be written"),
        ("simulator", ('kafka.securityProtocol="SSL"',), "speaks PLAINTEXT"),
        ("production", ('kafka.sasl.existingSecret=""',), "kafka.sasl.existingSecret is empty"),
        ("production", ('kafka.sasl.mechanism="OAUTHBEARER"',), "kafka.sasl.oauth.tokenUrl is empty"),
        (
            "keda",
            ('kafka.sasl.mechanism="OAUTHBEARER"', 'kafka.sasl.oauth.tokenUrl="https://id.example.com"'),
            "does not go with OAUTHBEARER",
        ),
        ("minimal", ('redis.url=""',), "no Redis: set redis.url"),
        ("minimal", ("redis.bundled.enabled=true",), "redis.bundled.enabled is set, and so is redis.url"),
        ("minimal", ('redis.url="redis://me:hidden@redis:6379/0"',), "redis.url holds a password"),
        ("minimal", ('massive.existingSecret=""',), "massive.existingSecret is empty"),
        ("sign-in", ('gateway.auth.keys={"gateway_session_secret":""}',), "each would know its own sessions only"),
        ("minimal", ("gateway.auth.open=true",), "let everyone in, or ask for the key"),
        ("minimal", ('gateway.auth.existingSecret=""',), "the gateway would be open to everyone"),
        ("strimzi", ('topics.strimzi.cluster=""',), "name the Strimzi Kafka cluster"),
        ("simulator", ('topics={"mode":"strimzi","strimzi":{"cluster":"c"}}',), "the bundled Kafka is not Strimzi's"),
        ("minimal", ('settings.massive_api_key="hidden"',), "settings.massive_api_key is a secret"),
        ("minimal", ('gateway.settings.gateway_api_key="hidden"',), "settings.gateway_api_key is a secret"),
    ],
)
def test_values_that_do_not_go_together_are_refused_in_one_sentence(
    name: str, settings: tuple[str, ...], said: str
) -> None:
    refused = template(name, *settings)
    assert refused.code != 0
    assert said in refused.errors
    assert "hidden" not in refused.errors.replace("settings.", "")


def test_as_many_workers_as_partitions_are_allowed() -> None:
    made = rendered("minimal", "worker.replicas=8")
    assert made.of_kind("StatefulSet")["tapereader-worker"]["spec"]["replicas"] == 8


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("workers.replicas=2", ""),
        ("worker.replica=2", "worker"),
        ("worker.replicas=0", "worker/replicas"),
        ('worker.replicas="two"', "worker/replicas"),
        ("partitions=0", "partitions"),
        ("partitions=513", "partitions"),
        ('source="polygon"', "source"),
        ('logLevel="debug"', "logLevel"),
        ('topics.mode="operator"', "topics/mode"),
        ('kafka.bootstrapServers="kafka"', "kafka/bootstrapServers"),
        ('kafka.securityProtocol="TLS"', "kafka/securityProtocol"),
        ('kafka.sasl.mechanism="GSSAPI"', "kafka/sasl/mechanism"),
        ('kafka.sasl.password="hidden"', "kafka/sasl"),
        ('massive.apiKey="hidden"', "massive"),
        ('massive.subscriptions=["aggregates"]', "massive/subscriptions"),
        ('redis.url="http://redis"', "redis/url"),
        ("gateway.port=70000", "gateway/port"),
        ("gateway.ingress.hosts=[]", "gateway/ingress/hosts"),
        ('image.tag="latest"', "image/tag"),
        ('gateway.auth.keys={"gateway_api_key":"a b"}', "gateway/auth/keys/gateway_api_key"),
        ('worker.resources={"limit":{"cpu":"1"}}', "worker/resources"),
        ('kafka.bundled.persistence.size="big"', "kafka/bundled/persistence/size"),
        ('extraEnv=[{"value":"nameless"}]', "extraEnv"),
        ('metrics.serviceMonitor.interval="often"', "metrics/serviceMonitor/interval"),
    ],
)
def test_the_schema_refuses_wrong_values_and_says_where(setting: str, place: str) -> None:
    refused = template("minimal", setting)
    assert refused.code != 0
    assert "values don't meet the specifications of the schema" in refused.errors
    assert f"at '{'/' + place if place else ''}" in refused.errors


def test_the_schema_refuses_a_setting_that_cannot_be_one() -> None:
    refused = template("minimal", 'settings={"Publish-Interval":1}')
    assert refused.code != 0
    assert "invalid propertyName 'Publish-Interval'" in refused.errors


def _paths(schema: dict[str, Any], values: Any, path: str = "") -> list[str]:
    """Paths of values that the schema does not know by name."""
    if not isinstance(values, dict) or "properties" not in schema:
        return []
    unknown = [f"{path}{name}" for name in values if name not in schema["properties"]]
    for name, value in values.items():
        unknown += _paths(schema["properties"].get(name, {}), value, f"{path}{name}.")
    return unknown


def test_the_schema_and_the_values_name_the_same_things() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert _paths(schema, values) == []

    def undeclared(part: dict[str, Any], value: Any, path: str) -> list[str]:
        missing = []
        for name, below in part.get("properties", {}).items():
            if name not in (value or {}):
                missing.append(f"{path}{name}")
            else:
                missing += undeclared(below, value[name], f"{path}{name}.")
        return missing

    assert undeclared(schema, values, "") == ["global"]  # Helm's own


def test_the_topics_are_those_of_the_platform() -> None:
    declared = json.loads((CHART / "files" / "topics.json").read_text(encoding="utf-8"))
    assert {topic["name"]: topic["config"] for topic in declared} == {
        spec.name: dict(spec.config()) for spec in ALL_TOPICS
    }, "run `make chart`"
    made = rendered("strimzi").of_kind("KafkaTopic")
    assert set(made) == {f"tapereader.{spec.name}" for spec in ALL_TOPICS}
    for spec in ALL_TOPICS:
        topic = made[f"tapereader.{spec.name}"]
        assert topic["apiVersion"] == "kafka.strimzi.io/v1"
        assert topic["metadata"]["labels"]["strimzi.io/cluster"] == "events"
        assert topic["spec"]["topicName"] == f"tapereader.{spec.name}"
        assert topic["spec"]["partitions"] == (1 if spec.single_partition else 12)
        assert topic["spec"]["replicas"] == 3
        assert topic["spec"]["config"] == {"min.insync.replicas": "2", **spec.config()}


def test_the_user_may_use_what_the_release_is_called_and_nothing_else() -> None:
    def rights(*switches: str) -> set[tuple[str, str]]:
        user = rendered("strimzi", *switches).of_kind("KafkaUser")["tapereader"]
        return {(each["resource"]["type"], each["resource"]["name"]) for each in user["spec"]["authorization"]["acls"]}

    by_id = {"group", "transactionalId"}
    assert rights() == {("topic", "tapereader."), *((kind, "tapereader.") for kind in by_id)}
    assert rights('topicPrefix=""') == {
        ("topic", "massive."), ("topic", "market."), ("topic", "tapereader."), *((kind, "tapereader") for kind in by_id)
    }  # fmt: skip
    assert rights('appId="scanner"') - rights() == {(kind, "scanner") for kind in by_id}
    assert not rendered("strimzi", 'topics.strimzi.user=""').of_kind("KafkaUser")


def test_releases_on_one_kafka_have_topics_and_a_group_of_their_own() -> None:
    """By the release's name, unless told otherwise: a release of before has topics without a prefix."""

    def of(release: str, *switches: str) -> set[tuple[str, str]]:
        done = helm("template", release, str(CHART), "--values", str(example("minimal")), *switches)
        assert done.code == 0, done.errors
        found = [each.variables() for each in containers(done.manifests) if each.is_ours]
        # The pod of `helm test` talks to the gateway alone.
        reaching = [each for each in found if "KAFKA_BOOTSTRAP_SERVERS" in each]
        assert len(reaching) >= 4
        return {(each["TAPEREADER_TOPIC_PREFIX"], each["TAPEREADER_APP_ID"]) for each in reaching}

    assert of("blue") == {("blue.", "blue.tapereader")}
    assert of("green") == {("green.", "green.tapereader")}
    assert of("blue", "--set-string", "topicPrefix=,appId=tapereader") == {("", "tapereader")}


def test_the_chart_has_the_version_of_the_platform() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == __version__


def test_the_readme_is_that_of_the_values(tmp_path: Path) -> None:
    copy = tmp_path / "helm"
    shutil.copytree(CHART, copy)
    tool("helm-docs")
    write_readme(copy)
    assert (copy / "README.md").read_text(encoding="utf-8") == (CHART / "README.md").read_text(encoding="utf-8"), (
        "run `make chart`"
    )
    with (copy / "values.yaml").open("a", encoding="utf-8") as values:
        values.write("undocumented: 1\n")
    (copy / "README.md").unlink()
    with pytest.raises(SystemExit, match="undocumented"):
        write_readme(copy)


def test_what_is_told_after_the_install_fits_the_values(tmp_path: Path) -> None:
    # Without a cluster helm shows no notes: a copy of the chart makes a resource of them.
    copy = tmp_path / "helm"
    shutil.copytree(CHART, copy)
    (copy / "templates" / "NOTES.txt").rename(copy / "notes.txt")
    (copy / "templates" / "notes.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\n"
        'data: {notes: {{ tpl (.Files.Get "notes.txt") . | quote }}}\n'
    )

    def notes(name: str, *settings: str) -> str:
        switches = [part for setting in settings for part in ("--set-json", setting)]
        done = helm(
            "template", "live", str(copy), "--namespace", "scanners", "--show-only", "templates/notes.yaml",
            "--values", str(example(name)), *switches,
        )  # fmt: skip
        assert done.code == 0, done.errors
        return str(done.manifests[0]["data"]["notes"])

    assert "https://scanner.example.com/" in notes("production")
    assert "port-forward service/live-tapereader-gateway 8000:80" in notes("minimal")
    assert "right for a trial" in notes("simulator")
    assert "source: none" in notes("replay")
    assert "helm test live --namespace scanners" in notes("minimal")
    assert "helm test" not in notes("minimal", "tests.enabled=false")
