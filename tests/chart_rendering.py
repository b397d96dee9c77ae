"""The Helm chart, rendered: what `helm template` makes of values, and the containers in it."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart_tools import BIN, missing

CHART = Path(__file__).parents[1] / "helm"
EXAMPLES = sorted(path.stem for path in (CHART / "examples").glob("*.yaml"))
RELEASE, NAMESPACE = "tapereader", "scanners"
IMAGE = f"tapereader:{yaml.safe_load((CHART / 'Chart.yaml').read_text(encoding='utf-8'))['appVersion']}"
#: `make verify` builds the chart's tools, which takes Go; `make test` and a newcomer do without.
needs_chart_tools = pytest.mark.verify


def tool(name: str) -> str:
    """Path of one of the chart's tools; fails the test where it is not built."""
    if name in missing():
        pytest.fail(f"{name} is not built: run `make chart-tools`")
    return str(BIN / name)


@dataclass(frozen=True)
class Rendered:
    """What a command of helm did."""

    code: int
    output: str
    errors: str

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """The resources."""
        return [each for each in yaml.safe_load_all(self.output) if each]

    def of_kind(self, kind: str) -> dict[str, dict[str, Any]]:
        """The resources of a kind by name."""
        return {each["metadata"]["name"]: each for each in self.manifests if each["kind"] == kind}


def helm(*arguments: str) -> Rendered:
    """Run a command of helm, to its end."""
    done = subprocess.run(
        [tool("helm"), *arguments], capture_output=True, text=True, timeout=50, check=False, cwd=CHART.parent
    )
    return Rendered(done.returncode, done.stdout, done.stderr)


def example(name: str) -> Path:
    """The values file of an example."""
    return CHART / "examples" / f"{name}.yaml"


@cache
def template(name: str, *settings: str) -> Rendered:
    """An example rendered, with further `path=JSON` settings."""
    switches = [part for setting in settings for part in ("--set-json", setting)]
    return helm(
        "template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", str(example(name)), *switches,
    )  # fmt: skip


def rendered(name: str, *settings: str) -> Rendered:
    """An example that must render, without a word on stderr."""
    found = template(name, *settings)
    assert (found.code, found.errors) == (0, "")
    return found


@dataclass(frozen=True)
class Container:
    """A container of the chart's, with what is around it."""

    owner: str
    pod: dict[str, Any]
    container: dict[str, Any]
    initial: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it runs Tapereader's image."""
        return str(self.container["image"]) == IMAGE

    def variables(self) -> dict[str, str]:
        """The environment that it starts with; what is in a Secret is `from NAME/KEY`."""
        found: dict[str, str] = {}
        for variable in self.container.get("env", ()):
            assert variable["name"] not in found, f"{self.owner}: {variable['name']} twice"
            source = variable.get("valueFrom", {})
            if "secretKeyRef" in source:
                reference = source["secretKeyRef"]
                found[variable["name"]] = f"from {reference['name']}/{reference['key']}"
            elif "fieldRef" in source:
                assert source["fieldRef"]["fieldPath"] == "metadata.name"
                found[variable["name"]] = f"{self.owner}-0"
            else:
                assert isinstance(variable["value"], str)
                found[variable["name"]] = variable["value"]
        return found


def pods(manifests: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name of the resource and the pod (`metadata`, `spec`) of each resource that has one."""
    for manifest in manifests:
        if manifest["kind"] == "Pod":
            yield manifest["metadata"]["name"], manifest
        elif manifest["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield manifest["metadata"]["name"], manifest["spec"]["template"]


def containers(manifests: list[dict[str, Any]]) -> Iterator[Container]:
    """Every container of every pod, those that come first included."""
    for owner, pod in pods(manifests):
        for initial, name in ((True, "initContainers"), (False, "containers")):
            for container in pod["spec"].get(name, ()):
                yield Container(owner, pod, container, initial)
