"""`python -m nbkit`: look at the installation, then open the first notebook; `check` only looks, `store` stores, `run` computes."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from nbkit import __version__
from nbkit.checking import START, check_installation

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status, 0 when all is well."""
    parser = argparse.ArgumentParser(prog="python -m nbkit", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="check | store | run")
    commands.add_parser("check", help="only check installation, device and data")
    store = commands.add_parser("store", help="execute notebooks and store them for reading (needs the extra `test`)")
    store.add_argument("notebooks", nargs="*", type=Path, help="default: every notebook of the checkout")
    run = commands.add_parser("run", help="make a stored paper-scale result again; takes from minutes to hours")
    run.add_argument("name", help="such as trained_growth")
    run.add_argument(
        "data", nargs="?", type=Path, help="folder with the data, for runs that read some; deep has digits of its own"
    )
    run.add_argument(
        "--depths", nargs="+", type=int, help="of the networks, for deep; default 50 200, and 1000 takes hours"
    )
    run.add_argument("--work", type=Path, default=Path("build", "runs"), help="folder for checkpoints")
    # What is not ours, such as --no-browser or --port=9999, is JupyterLab's.
    options, for_jupyter = parser.parse_known_args(arguments)
    if options.command and for_jupyter:
        parser.error(f"{options.command} knows no {for_jupyter[0]}")
    if options.command == "store":
        return _store(options.notebooks)
    if options.command == "run":
        return _run(options.name, work=options.work, data=options.data, depths=options.depths)
    problems = _check()
    if problems or options.command == "check":
        return 1 if problems else 0
    return _open_lab(for_jupyter)


def _check() -> list[str]:
    say(f"Sparse networks, live (nbkit {__version__}). Looking at this installation; torch takes a few seconds ...")
    problems = check_installation(say)
    for problem in problems:
        print(f"Missing: {problem}", file=sys.stderr, flush=True)
    say("Something is missing, see above." if problems else "All is well.")
    return problems


def _store(notebooks: list[Path]) -> int:
    from nbkit.data import shipped_folder
    from nbkit.errors import NbkitError
    from nbkit.storing import store_notebook

    failures = 0
    for path in notebooks or sorted(shipped_folder("notebooks").glob("*.ipynb")):
        say(f"{path.name}: running ...")
        try:
            changed = store_notebook(path)
            say(f"{path.name}: {'stored' if changed else 'unchanged'}, {path.stat().st_size / 1e6:.2f} MB")
        except NbkitError as error:
            failures += 1
            print(error, file=sys.stderr, flush=True)
    return 1 if failures else 0


def _run(name: str, **options: object) -> int:
    from nbkit.errors import NbkitError
    from nbkit.runs import run

    try:
        run(name, say=say, **options)
    except NbkitError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from its last checkpoint.", file=sys.stderr, flush=True)
        return 130
    return 0


def _open_lab(for_jupyter: list[str]) -> int:
    from jupyterlab.labapp import main as jupyterlab

    options = ["--ip=127.0.0.1"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        say("You are root: JupyterLab is started with --allow-root.")
        options.append("--allow-root")
    folder = notebooks_folder()
    # As the default address, and not as the file to open, so that the address JupyterLab prints leads there too.
    options += [f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{START}"]
    say(f"Opening {folder / START} in JupyterLab. Stop it with Ctrl-C.")
    return jupyterlab([*options, *for_jupyter]) or 0


def notebooks_folder() -> Path:
    """The checkout's own notebooks, or, from an installed wheel, a copy in the present folder that the reader owns."""
    from nbkit.data import shipped_folder

    shipped = shipped_folder("notebooks")
    if shipped.parent.name != "shipped":
        return shipped
    own = Path.cwd() / "sparse-networks-live"
    own.mkdir(exist_ok=True)
    for path in shipped.glob("*.ipynb"):
        if not (own / path.name).exists():  # the reader's own edits stay
            shutil.copy(path, own)
    say(f"Your own copy of the notebooks is in {own}; what you change there stays.")
    return own


def say(line: str) -> None:
    """Print one line at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
