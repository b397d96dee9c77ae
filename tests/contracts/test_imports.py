"""What a process imports at its start: nothing large that it does not use."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "unused"),
    [
        # Faust takes 0.2 s of a processor, and only workers run it.
        ("app.gateway.server", {"faust", "mode", "pandas", "massive"}),
        ("producers.produce", {"faust", "mode", "pandas", "numpy", "fastapi"}),
        ("producers.simulator", {"faust", "mode", "pandas", "fastapi"}),
        ("app.local.up", {"faust", "mode", "pandas", "numpy", "fastapi"}),
    ],
)
def test_a_process_imports_nothing_large_that_it_does_not_use(module: str, unused: set[str]) -> None:
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True)
    assert not unused & set(done.stdout.split())
