"""The rooms of kws/: what each may use, so that data and imports flow one way."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOW = (
    {"common"},
    {"recordings", "detector"},
    {"features"},
    {"params", "runtime"},
    {"models", "augment"},
    {"training", "evaluation"},
    {"targets"},
    {"board", "bundle", "collect"},
    {"report"},
    {"cli"},
)
"""From what all may use to what uses all; those of one place do not know each other."""
PLACE = {room: place for place, rooms in enumerate(FLOW) for room in rooms}


def room(module: str) -> str:
    """`audio` of kws.recordings.audio lies in the room `recordings`."""
    return module.split(".")[1]


def imports() -> list[tuple[str, str]]:
    """Every import of one room in another, wherever in a module it stands."""
    found = []
    for path in sorted((ROOT / "kws").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module == "kws":
                names = [f"kws.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            found += [(module, name) for name in names if name.startswith("kws.")]
    return found


def test_every_module_lies_in_a_room():
    assert {path.stem for path in (ROOT / "kws").iterdir()} - {"__init__", "__pycache__"} == set(PLACE)


@pytest.mark.parametrize("place", range(len(FLOW)))
def test_imports_flow_one_way(place):
    back = [
        f"{module} imports {name}"
        for module, name in imports()
        if PLACE[room(module)] == place and room(module) != room(name) and PLACE[room(name)] >= place
    ]
    assert back == []


def test_the_stages_use_rooms_and_no_room_uses_them():
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "kws").rglob("*.py"))
    assert "from stages" not in sources
    assert "import stages" not in sources


def test_each_test_lies_in_the_room_of_what_it_tests():
    """What is of the whole project, or of a module that lies in none, is at the top."""
    for path in (ROOT / "tests").glob("*/test_*.py"):
        place, module = path.parent.name, path.stem.removeprefix("test_")
        assert place == module or (ROOT / f"kws/{place}/{module}.py").is_file(), path
