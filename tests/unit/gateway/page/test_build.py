"""The page's build knows whether it is that of its sources."""

import shutil
from pathlib import Path

import pytest

from app.errors import StartupError
from app.gateway.page import build as build_page


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the page's sources that is built beside it."""
    copy = tmp_path / "page"
    shutil.copytree(build_page.PAGE_DIR, copy, ignore=shutil.ignore_patterns("node_modules", "built"))
    monkeypatch.setattr(build_page, "PAGE_DIR", copy)
    monkeypatch.setattr(build_page, "BUILD_DIR", copy / "built")
    monkeypatch.setattr(build_page, "_STAMP", copy / "built" / ".sources")
    return copy


def test_it_is_built_once_until_a_source_changes(page: Path) -> None:
    assert build_page.build()
    assert {"index.html", "app.js", "app.css", "icon.svg"} <= {path.name for path in build_page.BUILD_DIR.iterdir()}
    assert not build_page.build(), "nothing changed"
    (page / "src" / "format.ts").write_text("export const broken = ;\n", encoding="utf-8")
    assert not build_page.up_to_date()
    with pytest.raises(StartupError, match=r"build\.mjs"):
        build_page.build()
    assert not build_page.up_to_date(), "a build that failed is not taken for one"


def test_the_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (build_page.PAGE_DIR / "package-lock.json").read_text(encoding="utf-8")
