"""The house: what its papers say of it (README, pyproject, environment) is true, and its rooms are in order."""

import ast
import doctest
import importlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MODULES = sorted(path.relative_to(ROOT) for path in (ROOT / "nbkit").rglob("*.py"))
# A room imports only rooms before it. The last three are the front door, which opens every room.
ROOMS = (
    "errors files device sweeping topology weights nets measure data training compress questions reporting results "
    "runs claims exercises figures explore checking storing __main__"
).split()
NUMERICAL = ROOMS[: ROOMS.index("runs") + 1]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def environment_entries() -> list[str]:
    """The entries of environment.yml's list of dependencies, the pip section's included."""
    text = (ROOT / "environment.yml").read_text().partition("dependencies:")[2]
    return [line.strip().removeprefix("- ") for line in text.splitlines() if line.strip() and line.strip() != "- pip:"]


def table_rows() -> dict[str, list[str]]:
    """The README's table of notebooks: file name -> [question, paper, minutes]."""
    rows = re.findall(r"^\| \[(\w+)\]\(notebooks/\1\.ipynb\) \|(.+)\|$", README, flags=re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


def room(module: Path) -> str | None:
    """The room a file of nbkit stands in; nbkit/__init__.py stands in none."""
    name = module.parts[1] if len(module.parts) > 2 else module.stem
    return None if name == "__init__" else name


def imports(module: Path) -> set[str]:
    """Every module that a file imports anywhere, functions included, with its full name."""
    package = list(module.parts[:-1])
    found = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{origin}.{alias.name}" for alias in node.names} if origin == "nbkit" else {origin}
    return found


def test_conda_gets_what_pip_gets():
    wanted = {"pytorch" + entry[5:] if entry.startswith("torch") else entry for entry in project()["dependencies"]}
    assert set(environment_entries()) == wanted | {f"python{project()['requires-python']}", "pip", "-e ."}


def test_the_two_commands_of_the_readme_are_the_only_ones_in_its_shell_blocks():
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    assert blocks == ["pip install -e . && python -m nbkit\n", 'pip install -e ".[test]" && pytest\n']


def test_ci_runs_the_command_it_finds_in_the_readme():
    found = subprocess.run(["bash", ROOT / ".ci" / "run", "--show"], capture_output=True, text=True, check=True)
    assert found.stdout == 'pip install -e ".[test]" && pytest\n'


def test_the_readmes_table_is_the_folder():
    assert list(table_rows()) == [path.stem for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_readme_says_of_a_notebook_what_it_says_itself(path):
    opening = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]).replace("*", "").lower()
    question, paper, minutes = table_rows()[path.stem]
    assert question.lower() in " ".join(opening.split())
    assert re.search(r"(\d+) minutes", opening)[1] == minutes
    assert all(name.lower() in opening for name in paper.split(", ") if name != "–")


def test_every_file_that_the_readme_shows_is_there():
    shown = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert shown and [name for name in shown if not (ROOT / name).is_file()] == []


def test_the_readmes_example_is_true(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the sweep keeps its store
    outcome = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert outcome.attempted >= 5 and outcome.failed == 0


@pytest.mark.parametrize("module", [m for m in MODULES if m.stem != "__main__"], ids=str)
def test_every_example_in_a_docstring_is_true(module):
    name = ".".join(module.with_suffix("").parts).removesuffix(".__init__")
    assert doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS).failed == 0


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_only_run_downwards(module):
    own = room(module)
    rooms = {name.split(".")[1] for name in imports(module) if name.startswith("nbkit.")} - {own, "__version__"}
    assert own is None or own in ROOMS, f"{module} stands in no room: give it one in ROOMS, and in the README"
    allowed = ROOMS[: ROOMS.index(own)] if own else []
    assert sorted(rooms - set(allowed)) == []


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) in NUMERICAL], ids=str)
def test_numerical_rooms_import_nothing_but_numerics(module):
    foreign = {name.split(".")[0] for name in imports(module)} - set(sys.stdlib_module_names)
    sweeping = {"tqdm", "dask", "distributed"} if room(module) == "sweeping" else set()
    assert foreign <= {"nbkit", "numpy", "torch", "scipy", "networkx", "safetensors"} | sweeping


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) == "figures"], ids=str)
def test_pictures_know_no_network_and_no_widget(module):
    found = imports(module)
    assert not {name.split(".")[0] for name in found} & {"torch", "ipywidgets", "anywidget", "traitlets"}
    assert not {name for name in found if name.startswith(("nbkit.nets", "nbkit.topology"))}


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_importing_nbkit_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'scipy', 'plotly', 'ipywidgets', 'networkx'}"
    assert run_python(f"import sys, nbkit; print({heavy} & set(sys.modules))") == "set()\n"


def test_a_room_opens_when_it_is_named():
    assert run_python("import nbkit; print(nbkit.topology.mixed_radix((2, 3)).sizes)") == "(6, 6, 6)\n"


def test_every_room_that_nbkit_offers_opens_and_no_other():
    import nbkit

    rooms = set(nbkit.__all__) - {"report", "sweep"}
    assert rooms <= set(ROOMS)
    assert all(getattr(nbkit, name).__name__ == f"nbkit.{name}" for name in rooms)
    with pytest.raises(AttributeError, match="Its rooms are: claims, compress, data"):
        nbkit.attic


def test_citation_lists_the_five_papers_and_x_net():
    references = (ROOT / "CITATION.cff").read_text(encoding="utf-8").partition("references:")[2]
    assert references.count("- type:") == 6
    for author in ("Robinett", "Price", "Esguerra", "Ganev", "Parhi"):
        assert f"family-names: {author}" in references


def test_citation_names_this_version():
    import nbkit

    assert f"version: {nbkit.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
