"""What the documents say of the tree is so: links, paths, layers, rooms, and the names and arrows of the pictures."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from app.kafka.topics import ALL_TOPICS
from app.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "helm").glob("*.md")])
TEXTS = {path: path.read_text(encoding="utf-8") for path in DOCUMENTS}
DESIGN, ARCHITECTURE = TEXTS[ROOT / "docs" / "design.md"], TEXTS[ROOT / "docs" / "architecture.md"]
_IDS = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
_FENCE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
_ROOTS = "app|agents|tables|producers|tests|docs|helm|benchmarks|examples"


def _anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=_IDS)
def test_every_link_leads_somewhere(path: Path) -> None:
    """To a file that is there and, where it names one, to a heading of it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", TEXTS[path])):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), target
        if anchor:
            assert anchor in _anchors(file.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=_IDS)
def test_every_path_and_module_that_a_document_names_is_there(path: Path) -> None:
    """In code spans; what a worked example adds stands in blocks."""
    spans = re.findall(r"`([^`\n]+)`", _FENCE.sub("", TEXTS[path]))
    for span in spans:
        if re.fullmatch(rf"({_ROOTS})/[\w./-]*", span):
            assert (ROOT / span).exists(), span
        elif re.fullmatch(r"app(\.[a-z_]+)+", span):
            assert (ROOT / (span.replace(".", "/") + ".py")).exists() or (ROOT / span.replace(".", "/")).is_dir(), span


def _block_after(text: str, words: str) -> list[str]:
    return text.partition(words)[2].partition("```\n")[2].partition("```")[0].splitlines()


def test_the_layers_of_the_document_are_the_import_contracts() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = [each["layers"] for each in project["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    assert [_block_after(DESIGN, "## Layers"), _block_after(DESIGN, "Within the gateway:")] == contracts


def _modules_and_rooms(folder: Path) -> set[str]:
    rooms = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    return rooms | {path.name for path in folder.glob("*.py") if not path.name.startswith("__")}


def test_the_listing_of_rooms_is_the_tree_with_the_first_line_of_each_room_s_docstring() -> None:
    listed: dict[str, dict[str, str]] = {}
    for line in _block_after(DESIGN, "## Rooms"):
        if not line.startswith(" "):
            entries = listed.setdefault(line, {})
            continue
        name, _, says = line.strip().partition(" ")
        assert says.strip(), line
        entries[name] = says.strip()
    assert set(listed["app/"]) == _modules_and_rooms(ROOT / "app")
    assert set(listed["app/gateway/"]) == _modules_and_rooms(ROOT / "app" / "gateway")
    for folder, entries in listed.items():
        for name, says in entries.items():
            if name.endswith("/"):
                source = (ROOT / folder / name / "__init__.py").read_text(encoding="utf-8")
                docstring = ast.get_docstring(ast.parse(source)) or ""
                assert docstring.partition("\n")[0].removesuffix(".") == says, folder + name


def _picture(number: int) -> tuple[dict[str, str], set[tuple[str, str]]]:
    """A Mermaid flowchart: the labels of its nodes by their names, and its arrows."""
    text = re.findall(r"```mermaid\n(.*?)```", ARCHITECTURE, re.DOTALL)[number]
    node = r"(\w+)(?:\(?\[\"([^\"]+)\"\]\)?)?"
    labels: dict[str, str] = {}
    arrows: set[tuple[str, str]] = set()
    for line in text.splitlines()[1:]:
        found = re.fullmatch(rf"\s*{node} <?-->(?:\|[^|]+\|)? {node}", line)
        if found is None:
            assert re.fullmatch(r'\s*(subgraph \w+ \["[^"]+"\]|end)?', line), line
            continue
        for name, label in (found.group(1, 2), found.group(3, 4)):
            if label is not None:
                assert name not in labels, f"{name} has two labels"
                labels[name] = label
        arrows.add((found[1], found[3]))
    assert {name for arrow in arrows for name in arrow} <= labels.keys()
    return labels, {(labels[first], labels[second]) for first, second in arrows}


def test_the_picture_of_data_has_every_topic_and_every_agent() -> None:
    labels, _ = _picture(0)
    shown = set(labels.values())
    assert {label for label in shown if re.match(r"(massive|market|tapereader)\.", label)} == {
        spec.name for spec in ALL_TOPICS
    }
    agents = {f"agents/{path.name}" for path in (ROOT / "agents").glob("*.py") if path.name != "__init__.py"}
    assert {label for label in shown if label.startswith("agents/")} == agents
    assert all((ROOT / label).exists() for label in shown if "/" in label)


def test_the_arrows_of_the_picture_of_data_are_what_agents_subscribe_to_and_fold_into() -> None:
    from importlib import import_module

    import tables
    from app.main import MODULES, app
    from app.stream.table import BatchedTable

    for module in MODULES:
        import_module(module)
    _, arrows = _picture(0)
    topics = {spec.name for spec in ALL_TOPICS}
    drawn = {(first, second) for first, second in arrows if first in topics and second.startswith("agents/")}
    subscribed = {
        (topic, f"{agent.fun.__module__.replace('.', '/')}.py")
        for agent in app.agents.values()
        for topic in agent.channel.topics
    }
    assert drawn == subscribed
    for name, table in vars(tables).items():
        if isinstance(table, BatchedTable):
            (changelog,) = table.changelog_topic.topics
            writers = {first for first, second in arrows if second == changelog}
            assert writers, changelog
            for writer in writers:
                assert re.search(rf"tables\.{name}\b", (ROOT / writer).read_text(encoding="utf-8")), (writer, name)
            for source in table.sources:
                assert any((source, writer) in arrows for writer in writers), (source, changelog)


def test_the_arrows_of_the_picture_of_rooms_are_imports() -> None:
    import grimp

    labels, arrows = _picture(1)
    assert all((ROOT / label).exists() for label in labels.values())
    graph = grimp.build_graph("app", "agents", "tables", "producers")

    def module(label: str) -> str:
        return label.removesuffix(".py").strip("/").replace("/", ".")

    for first, second in arrows:
        whole = {"importer": module(first), "imported": module(second)}
        assert graph.direct_import_exists(**whole, as_packages=True), (first, second)


def test_every_test_that_the_threat_model_names_is_there_and_each_threat_has_one() -> None:
    text = TEXTS[ROOT / "docs" / "security.md"]
    rows = text.partition("## Threats")[2].partition("\n## ")[0].splitlines()
    threats = [row.split("|") for row in rows if row.startswith("| ")][1:]
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(threats) > 15
    for _, threat, _, shown, _ in threats:
        (name,) = re.findall(r"`(test_\w+)`", shown)
        assert re.search(rf"def {name}\(", tests), (threat, name)


def test_the_ports_and_settings_of_the_threat_model_are_those_of_the_settings() -> None:
    text = TEXTS[ROOT / "docs" / "security.md"]
    fields = Settings.model_fields
    names = {name.lower() for name in re.findall(r"TAPEREADER_([A-Z_]+)", text)}
    assert names <= fields.keys()
    ports = {name: str(found.default) for name, found in fields.items() if name.endswith("_port")}
    assert dict(re.findall(r"^\| (\d+) \| `TAPEREADER_([A-Z_]+_PORT)`", text, re.MULTILINE)) == {
        port: name.upper() for name, port in ports.items()
    }
