"""A test that is skipped without leave fails the run: what did not run has not passed.

Leave is given by `@pytest.mark.may_skip("reason")`, and by the fixture `tape_dir`: the recorded tape is not
part of the repository.
"""

from collections.abc import Iterator

import pytest

TAPE_REASON = "the recorded tape is not part of the repository"


class Skips:
    """Counts the tests that were skipped, with and without leave."""

    def __init__(self) -> None:
        self.leave: dict[str, str] = {}
        self.allowed: list[str] = []
        self.forbidden: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note which tests have leave."""
        for item in items:
            mark = item.get_closest_marker("may_skip")
            if mark is not None:
                self.leave[item.nodeid] = str(mark.args[0])
            elif "tape_dir" in getattr(item, "fixturenames", ()):
                self.leave[item.nodeid] = TAPE_REASON

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """Note a skipped test."""
        report: pytest.TestReport = yield  # type: ignore[assignment]
        if report.skipped and not hasattr(report, "wasxfail"):
            (self.allowed if item.nodeid in self.leave else self.forbidden).append(item.nodeid)
        return report  # type: ignore[return-value]

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail the run where a test was skipped without leave."""
        if self.forbidden and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many tests were skipped, and why."""
        terminalreporter.write_sep("-", f"skipped: {len(self.allowed) + len(self.forbidden)}")
        for name in self.allowed:
            terminalreporter.write_line(f"with leave     {name}: {self.leave[name]}")
        for name in self.forbidden:
            terminalreporter.write_line(f"WITHOUT LEAVE  {name}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker and what watches it."""
    config.addinivalue_line("markers", "may_skip(reason): the test may be skipped where its reason holds")
    config.pluginmanager.register(Skips(), "skips")
