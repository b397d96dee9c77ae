"""A test that does not end in time fails, whatever loop it hangs on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
import asyncio, time, uvloop

async def never():
    ticking = asyncio.create_task(tick())
    await asyncio.Event().wait()

async def tick():
    while True:
        await asyncio.sleep(0.05)

def test_one_that_hangs():
    {hang}

def test_the_next_one():
    pass
"""


@pytest.mark.parametrize("hang", ["asyncio.run(never())", "uvloop.run(never())", "time.sleep(100)"])
def test_a_test_that_hangs_fails_and_the_next_one_runs(tmp_path: Path, hang: str) -> None:
    (tmp_path / "test_it.py").write_text(CODE.format(hang=hang), encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\ntimeout = 0.5\n", encoding="utf-8")
    plugins = ["-p", "pytest_timeout", "-p", "tests.timeouts", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "--rootdir", str(tmp_path), str(tmp_path / "test_it.py")],
        cwd=ROOT, capture_output=True, text=True, timeout=50, check=False,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "TimedOut: the test did not end within" in done.stdout
