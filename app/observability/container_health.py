"""`python -m app.observability.container_health`: is what runs in this container well? The image asks.

One image runs every command, so this looks which one it is, and asks that one by HTTP as Kubernetes does.
The exit code is 1 where it does not run or does not answer, with the reason on stderr.
"""

import itertools
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import PurePath

import psutil

from app.errors import SettingsError
from app.settings import Settings

#: An answer may take this long; less than the health check's own limit.
TIMEOUT_S = 5.0


def running_command(processes: Iterable[psutil.Process]) -> str | None:
    """The command of `tapereader` that one of the processes runs (`worker`, …); None: none does."""
    for process in processes:
        try:
            arguments = process.cmdline()
        except psutil.Error:
            continue
        for program, command in itertools.pairwise(arguments):
            if PurePath(program).name == "tapereader" and not command.startswith("-"):
                return str(command)
    return None


def address(command: str, settings: Settings) -> str | None:
    """Where a command answers whether it is well; None: it serves nothing, that it runs is enough."""
    ports = {
        "gateway": settings.http_port,
        "produce": settings.control_port,
        "worker": settings.worker_http_port,
        "simulate": settings.simulator_port,
    }
    return f"http://127.0.0.1:{ports[command]}/healthz" if command in ports else None


def amiss(processes: Iterable[psutil.Process], settings: Settings) -> str | None:
    """What is amiss with the command that one of the processes runs; None: nothing."""
    command = running_command(processes)
    if command is None:
        return "no command of tapereader runs here"
    url = address(command, settings)
    if url is None:
        return None
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S):
            return None
    except urllib.error.HTTPError as error:
        return f"{command}: {url} answered {error.code}: {error.read(2000).decode(errors='replace')}"
    except OSError as error:
        return f"{command}: {url} did not answer: {error}"


def main() -> int:
    """The command; its exit code."""
    try:
        found = amiss(psutil.process_iter(), Settings.load())
    except SettingsError as error:
        found = str(error)
    if found is not None:
        sys.stderr.write(f"{found}\n")
    return 0 if found is None else 1


if __name__ == "__main__":
    sys.exit(main())
