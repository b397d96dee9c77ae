"""The four top-level import names are ours: other packages on PyPI install some of them too."""

import sys
from pathlib import Path

import pytest

from app.errors import StartupError
from app.names import ROOTS, check_names, foreign_names


def test_the_four_names_are_ours_here() -> None:
    assert foreign_names() == {}
    check_names()


@pytest.mark.parametrize("name", ["agents", "tables"])
def test_a_foreign_package_in_our_place_is_named_and_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # As pip leaves it: the package, and beside it the record of the distribution that it belongs to.
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    metadata = tmp_path / "stand_in-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: stand-in\nVersion: 1.0\n")
    (metadata / "top_level.txt").write_text(f"{name}\n")
    (metadata / "RECORD").write_text(f"{name}/__init__.py,,\n")
    monkeypatch.syspath_prepend(tmp_path)

    assert foreign_names() == {name: "stand-in"}
    with pytest.raises(StartupError, match=f"`{name}` belongs to stand-in"):
        check_names()


def test_every_package_of_the_wheel_is_guarded() -> None:
    import tomllib

    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == set(ROOTS)
    assert set(project["tool"]["importlinter"]["root_packages"]) == set(ROOTS)


def test_no_test_folder_has_the_name_of_a_package() -> None:
    # `import agents` would find the tests instead.
    folders = {path.name for path in Path(__file__).parents[1].iterdir() if path.is_dir()}
    assert not folders & set(ROOTS)
    assert "tests" in sys.modules
