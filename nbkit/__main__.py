"""`python -m nbkit`: look at the installation, then open the first notebook; `check` only looks, the others compute."""

import argparse
import os
import re
import shutil
import sys
import textwrap
import time
from itertools import zip_longest
from pathlib import Path

from nbkit import __version__
from nbkit.checking import START, check_installation

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status, 0 when all is well."""
    parser = argparse.ArgumentParser(prog="python -m nbkit", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="check | claims | store | run")
    commands.add_parser("check", help="only check installation, device and data")
    commands.add_parser("claims", help="compute every claim of every paper again, show and store them: a minute")
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
    for stream in (sys.stdout, sys.stderr):  # into a file Windows writes no σ
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if options.command and for_jupyter:
        parser.error(f"{options.command} knows no {for_jupyter[0]}")
    if options.command == "claims":
        return _claims()
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


def _claims() -> int:
    from nbkit.claims import registry
    from nbkit.data import shipped_folder
    from nbkit.results import save_result, sidecar

    ledger, began, failures = registry(), time.monotonic(), []
    say(_table_row("nb", "verdict", "where", "claim", "paper", "here"))
    for row in ledger.rows:
        try:
            row.check()
        except Exception as error:  # a claim may fail in any way; the others are still computed
            failures.append(f"Fails: notebook {row.notebook}, {row.paper}, {row.place}: {error or repr(error)}")
            print(failures[-1], file=sys.stderr, flush=True)
        else:
            say(_table_row(row.notebook, row.verdict, f"{row.paper}, {row.place}", row.statement, row.theirs, row.ours))
    if failures:
        print("\n".join([*failures, "Nothing was stored."]), file=sys.stderr, flush=True)
        return 1
    say(counts := _counts_table(ledger.counts()))
    beside = sidecar(command="python -m nbkit claims", seed=0, seconds=time.monotonic() - began, steps=len(ledger.rows))
    say(f"Stored in {save_result('claims', ledger.columns(), beside)}.")
    readme = shipped_folder("data").parent / "README.md"
    if readme.is_file():  # a wheel has none
        text = readme.read_text(encoding="utf-8")
        readme.write_text(
            re.sub(r"(?m)^\| paper \| agrees .*\n(\|.*\n)*", counts, text), encoding="utf-8", newline="\n"
        )
    return 0


def _table_row(*cells: str) -> str:
    """One row of a table as wide as the terminal; long cells are folded."""
    room = max(shutil.get_terminal_size((120, 24)).columns, 80) - 18 - 2 * 5
    widths = [2, 14, *(int(share * room) for share in (0.22, 0.42, 0.18, 0.18))]
    folded = [textwrap.wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
    lines = zip_longest(*folded, fillvalue="")
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _counts_table(counts: dict[str, dict[str, int]]) -> str:
    """How many claims have which verdict, paper by paper, as the README shows it."""
    titles = list(counts["all"])
    rows = [[paper, *(str(count) for count in found.values())] for paper, found in counts.items()]
    return "".join(f"| {' | '.join(row)} |\n" for row in [["paper", *titles], ["---"] * (1 + len(titles)), *rows])


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
    try:
        sys.exit(main())
    except BrokenPipeError:  # whoever read the lines, such as `head`, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
