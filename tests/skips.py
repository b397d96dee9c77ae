"""A test that is skipped without leave fails the run: what did not run has not passed.

Leave is given by `@pytest.mark.may_skip("reason")`, and by the fixture `tape_dir`: the recorded tape is not
part of the repository. Where the tests run in several processes their reports carry the leave to the one that counts.
"""

from collections.abc import Iterator

import pytest

TAPE_REASON = "the recorded tape is not part of the repository"


def leave_of(item: pytest.Item) -> str | None:
    """The reason for which a test may be skipped, None where it may not."""
    mark = item.get_closest_marker("may_skip")
    if mark is not None:
        return str(mark.args[0])
    return TAPE_REASON if "tape_dir" in getattr(item, "fixturenames", ()) else None


class Skips:
    """Counts the tests that were skipped, with and without leave."""

    def __init__(self) -> None:
        self.allowed: dict[str, str] = {}
        self.forbidden: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """Write the leave into a skipped test's report."""
        report: pytest.TestReport = yield  # type: ignore[assignment]
        if report.skipped:
            vars(report)["leave"] = leave_of(item)
        return report  # type: ignore[return-value]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a skipped test."""
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        if report.leave is None:
            self.forbidden.append(report.nodeid)
        else:
            self.allowed[report.nodeid] = report.leave

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail the run where a test was skipped without leave."""
        if self.forbidden and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many tests were skipped, and why."""
        terminalreporter.write_sep("-", f"skipped: {len(self.allowed) + len(self.forbidden)}")
        for name, reason in self.allowed.items():
            terminalreporter.write_line(f"with leave     {name}: {reason}")
        for name in self.forbidden:
            terminalreporter.write_line(f"WITHOUT LEAVE  {name}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker and what watches it."""
    config.addinivalue_line("markers", "may_skip(reason): the test may be skipped where its reason holds")
    config.pluginmanager.register(Skips(), "skips")
