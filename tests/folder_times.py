"""Where the time of a run went: seconds and tests of each test folder, the longest first.

The seconds are those of the tests with their fixtures, added over all processes; what tests of a folder share is
counted where it was first wanted.
"""

from collections import Counter
from pathlib import PurePosixPath

import pytest


class FolderTimes:
    """Adds up the times of the reports."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.tests: dict[str, set[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a report's time."""
        folder = str(PurePosixPath(report.nodeid.partition("::")[0]).parent)
        self.seconds[folder] += report.duration  # type: ignore[assignment]
        self.tests.setdefault(folder, set()).add(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        if len(self.tests) < 2:
            return
        terminalreporter.write_sep("-", "seconds of each folder")
        for folder, seconds in self.seconds.most_common():
            terminalreporter.write_line(f"{seconds:8.1f} s  {len(self.tests[folder]):5} tests  {folder}")
        total, count = sum(self.seconds.values()), sum(map(len, self.tests.values()))
        terminalreporter.write_line(f"{total:8.1f} s  {count:5} tests  in all")


def pytest_configure(config: pytest.Config) -> None:
    """Add what counts."""
    config.pluginmanager.register(FolderTimes(), "folder_times")
