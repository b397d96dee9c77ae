"""What docs/kubernetes.md and docs/docker.md tell a reader to type is run, as far as it goes without a cluster."""

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from typer.main import get_command

from app.commands import cli
from app.settings import APP_ID, Settings
from tests.chart_rendering import CHART, EXAMPLES, containers, helm, needs_chart_tools, rendered
from tests.contracts.test_containers import PLATFORM, WITH_KAFKA

ROOT = Path(__file__).parents[2]
KUBERNETES = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
DOCKER = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
#: Switches of `install` and `upgrade` that `template` does not have, and whose file the reader makes.
_NOT_OF_TEMPLATE = ("--install", "--create-namespace")
_OWN_VALUES = "my-values.yaml"


def commands(text: str, program: str) -> list[str]:
    """The lines of a document's console blocks that call a program."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith(f"$ {program} ")]


@needs_chart_tools
@pytest.mark.parametrize("command", commands(KUBERNETES, "helm"))
def test_every_helm_command_of_the_document_works_on_the_chart(command: str) -> None:
    verb, *rest = shlex.split(command)[1:]
    if verb in ("rollback", "uninstall", "test"):
        # They take the release's name, which is that of the install.
        assert rest[0] == "tapereader"
        return
    if verb in ("install", "upgrade"):
        rest = [str(CHART / "examples" / "minimal.yaml") if word == _OWN_VALUES else word for word in rest]
        verb, rest = "template", [word for word in rest if word not in _NOT_OF_TEMPLATE]
    done = helm(verb, *rest)
    if "worker.replicas=9" in command:
        said = KUBERNETES.partition(f"$ {command}\n")[2].splitlines()[0]
        assert done.code != 0
        assert said == done.errors.splitlines()[0]
    else:
        assert (done.code, done.errors) == (0, ""), done.output


@needs_chart_tools
def test_every_secret_of_the_document_is_one_that_the_examples_take() -> None:
    taken = {
        tuple(value.removeprefix("from ").split("/"))
        for name in EXAMPLES
        for container in containers(rendered(name).manifests)
        for value in container.variables().values()
        if value.startswith("from ")
    }
    made = {
        (match[1], match[2])
        for match in re.finditer(r"create secret generic (\S+) --from-literal=([a-z-]+)=", KUBERNETES)
    }
    assert made == {("massive", "api-key"), ("tapereader-gateway", "api-key")}
    assert made <= taken
    volumes = yaml.safe_load((CHART / "examples" / "strimzi.yaml").read_text(encoding="utf-8"))["kafka"]["tls"]
    told = next(command for command in commands(KUBERNETES, "kubectl") if "secret generic tapereader-kafka" in command)
    assert volumes["existingSecret"] in told
    assert set(re.findall(r"--from-file=(\S+)", told)) == {volumes["caKey"], volumes["certKey"], volumes["keyKey"]}


@needs_chart_tools
def test_what_the_document_names_is_what_is_installed() -> None:
    services = rendered("simulator").of_kind("Service")
    for name, port in re.findall(r"port-forward service/(\S+) \d+:(\d+)", KUBERNETES):
        assert int(port) in {each["port"] for each in services[name]["spec"]["ports"]}
    initial = {each.container["name"] for each in containers(rendered("minimal").manifests) if each.initial}
    assert set(re.findall(r"--container (\S+?)`", KUBERNETES)) == initial


def test_the_platforms_own_commands_in_the_documents_are_there() -> None:
    told = re.findall(r"-- tapereader ([a-z -]+)$", KUBERNETES, re.MULTILINE)
    assert told
    for arguments in told:
        command: Any = get_command(cli)
        for argument in arguments.split():
            command = command.get_command(click.Context(command), argument)
            assert command is not None, f"tapereader {arguments}"


def test_every_example_is_in_the_document_and_is_there() -> None:
    assert set(re.findall(r"helm/examples/([a-z-]+)\.yaml", KUBERNETES)) == set(EXAMPLES)


def test_every_value_that_the_document_names_is_one() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    tops = "|".join(values)
    named = re.findall(rf"`((?:{tops})(?:\.[A-Za-z]+)+)(?:: [a-z]+)?`", KUBERNETES)
    assert len(named) > 15
    for path in named:
        part = values
        for name in path.split("."):
            if name == "yaml":
                break
            assert name in part, path
            part = part[name]


def test_the_settings_of_the_document_are_settings() -> None:
    block = re.search(r"```yaml\n(settings:.*?)```", KUBERNETES, re.DOTALL)
    assert block is not None
    given = yaml.safe_load(block[1])
    names = {*given["settings"], *given["gateway"]["settings"], *given["worker"]["settings"]}
    assert names <= set(Settings.model_fields)


@needs_chart_tools
def test_the_user_of_the_document_may_what_a_release_does() -> None:
    """Topics, groups, and the transactional ids by which workers are fenced, as the chart names them."""
    block = re.search(r"```yaml\n(apiVersion: kafka.strimzi.io.*?)```", KUBERNETES, re.DOTALL)
    assert block is not None
    acls = {each["resource"]["type"]: each for each in yaml.safe_load(block[1])["spec"]["authorization"]["acls"]}
    arguments = ("template", "tapereader", str(CHART), "--values", str(CHART / "examples" / "strimzi.yaml"))
    (worker,) = [
        each for each in containers(helm(*arguments).manifests) if each.owner.endswith("worker") and not each.initial
    ]
    prefix = worker.variables()["TAPEREADER_TOPIC_PREFIX"]
    app_id = worker.variables().get("TAPEREADER_APP_ID", f"{prefix}{APP_ID}")
    made = helm(*arguments).of_kind("KafkaUser")["tapereader"]
    shown = yaml.safe_load(block[1])
    assert made["spec"] == shown["spec"], "the document shows what the chart makes"
    assert made["metadata"]["namespace"] == shown["metadata"]["namespace"]
    assert made["metadata"]["labels"].items() >= shown["metadata"]["labels"].items()
    assert {acl["resource"]["patternType"] for acl in acls.values()} == {"prefix"}
    assert prefix.startswith(acls["topic"]["resource"]["name"])
    for kind, operations in (("group", {"Read", "Describe"}), ("transactionalId", {"Write", "Describe"})):
        assert app_id.startswith(acls[kind]["resource"]["name"])
        assert operations <= set(acls[kind]["operations"])


def test_the_variables_of_the_containers_document_are_those_of_the_compose_files() -> None:
    taken = {
        name
        for file in (PLATFORM, WITH_KAFKA)
        for name in re.findall(r"\$\{([A-Z_]+)", (ROOT / file).read_text(encoding="utf-8"))
    }
    rows = [line for line in DOCKER.splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])}
    assert told == taken
    for file in re.findall(r"-f (\S+\.yml)", DOCKER):
        assert (ROOT / file).exists()
