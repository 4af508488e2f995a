"""dvc.yaml says what is true: stages name the code, the files and the parameters that they use."""

import ast
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
PLUMBING = {
    "kws/__init__.py",
    "kws/params/inputs.py",
    "kws/params/sections.py",
    "kws/common/arrays.py",
    "kws/common/errors.py",
    "kws/common/files.py",
    "kws/common/foreign.py",
    "kws/common/labels.py",
    "kws/common/parallel.py",
    "kws/params/whole.py",
    "kws/common/terminal.py",
    "kws/common/types.py",
    "stages/__init__.py",
    "stages/paths.py",
}
"""Modules that carry values about and decide nothing that a stage writes."""
MODULE = {name: name for name in STAGES} | {"hear_hard": "hear"}
"""What each stage runs, in stages/: the hard negatives are heard as the clips of a label are."""


def definition(name: str) -> dict:
    return STAGES[name].get("do", STAGES[name])


def imported(path: Path) -> set[Path]:
    """The project's modules that a module imports, directly or not, with itself; plumbing is not followed."""
    found, todo = set(), [path]
    while todo:
        module = todo.pop()
        if module in found or module.relative_to(ROOT).as_posix() in PLUMBING:
            continue
        found.add(module)
        for node in ast.walk(ast.parse(module.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                base = ROOT / name.replace(".", "/")
                todo += [p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()]
    return found


def test_every_stage_has_its_module_and_every_module_its_stage():
    modules = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__", "data", "paths"}
    assert set(MODULE.values()) == modules


@pytest.mark.parametrize("name", STAGES)
def test_deps_name_exactly_the_modules_that_a_stage_uses(name):
    used = {path.relative_to(ROOT).as_posix() for path in imported(ROOT / f"stages/{MODULE[name]}.py")}
    code = [d for d in definition(name)["deps"] if d.startswith(("kws/", "stages/"))]
    assert {m for m in used if not any(m == d or m.startswith(f"{d}/") for d in code)} == set(), "not in deps"
    assert {d for d in code if not any(m == d or m.startswith(f"{d}/") for m in used)} == set(), "not used"
    assert {d for d in code for folder in code if d.startswith(f"{folder}/")} == set(), "in a folder that is"


def sections(name):
    return {key.split(".")[0] for key in definition(name).get("params", [])}


def test_check_comes_before_all_and_again_whenever_a_model_could_be_compiled_again():
    """`detector`, say, is none of them: changing it asks for no Pulsar2, if the model is there already."""
    outs = {out: name for name in STAGES for out in definition(name)["outs"] if isinstance(out, str)}

    def before(name):
        near = {outs[o] for o in outs for d in definition(name)["deps"] if o == d or o.startswith(f"{d}/")}
        near -= {name}
        return near.union(*map(before, near))

    assert all("check" in before(name) for name in STAGES if name != "check")
    assert sections("check") == {"data"}.union(*map(sections, before("compile") | {"compile"} - {"check"}))


def test_no_command_holds_a_value_of_params_yaml():
    """A shell would read it: labels and targets are names that DVC hands on in DVC_STAGE."""
    assert {name: definition(name)["cmd"] for name in STAGES} == {
        name: f"python -m stages.{module}" for name, module in MODULE.items()
    }


@pytest.mark.parametrize("name", [name for name in STAGES if name != "check"])
def test_params_name_the_sections_that_a_stage_reads(name):
    source = (ROOT / f"stages/{MODULE[name]}.py").read_text()
    read = set(re.findall(r"(?:(?<!kws\.)\bparams|load_params\(paths.PARAMS\))\.(\w+)", source))
    derived = {"keywords", "columns"}
    if "dataset(" in source or read & derived:
        read = read - derived | {"labels", "background"}
    if "paths.PARAMS.read_" in source:
        assert definition(name)["params"] == [{"params.yaml": None}], "reads the file as it is"
    else:
        assert sections(name) == read


@pytest.mark.parametrize("name", sorted(set(MODULE.values())))
def test_stages_are_thin(name):
    assert len((ROOT / f"stages/{name}.py").read_text().splitlines()) <= 80


def test_no_parameter_has_a_name_that_the_run_cache_overlooks():
    """DVC leaves keys named `size` and `nfiles` out of the hash under which it remembers a run.

    A change of such a parameter would bring back the outputs of the old value.
    """

    def keys(value):
        if isinstance(value, dict):
            yield from value
            for inner in value.values():
                yield from keys(inner)

    assert not {"size", "nfiles"} & set(keys(YAML(typ="safe").load((ROOT / "params.yaml").read_text())))
