"""What did not run has not passed: a skip without leave fails the run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(path: Path, code: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest of its own over one file."""
    (path / "test_it.py").write_text(code, encoding="utf-8")
    (path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.skips", "--rootdir", str(path), str(path / "test_it.py")],
        cwd=ROOT, capture_output=True, text=True, timeout=50, check=False,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        pytest.param("def test_a(): pytest.skip('no')", 1, id="skipped-inside"),
        pytest.param("@pytest.mark.skipif(True, reason='no')\ndef test_a(): pass", 1, id="skipped-by-mark"),
        pytest.param("@pytest.mark.may_skip('why')\ndef test_a(): pytest.skip('no')", 0, id="with-leave"),
        pytest.param("@pytest.mark.xfail\ndef test_a(): assert False", 0, id="expected-failure"),
        pytest.param("def test_a(): pass", 0, id="nothing-skipped"),
    ],
)
def test_a_skip_without_leave_fails_the_run(tmp_path: Path, code: str, exit_code: int) -> None:
    answer = run(tmp_path, f"import pytest\n{code}\n")
    assert answer.returncode == exit_code, answer.stdout


def test_the_reason_of_a_skip_with_leave_is_printed(tmp_path: Path) -> None:
    answer = run(tmp_path, "import pytest\n@pytest.mark.may_skip('no tape here')\ndef test_a(): pytest.skip('no')\n")
    assert "skipped: 1" in answer.stdout
    assert "no tape here" in answer.stdout
