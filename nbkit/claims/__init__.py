"""The ledger: what the papers claim, computed again here. A chapter's claims stand in the module beside this one."""

import html
import importlib
import pkgutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from nbkit.errors import NbkitError, check_choice

__all__ = ["PAPERS", "VERDICTS", "Claim", "Ledger", "all_claims", "claim", "ledger", "registry"]

PAPERS = {
    "RadiX-Net": "Robinett & Kepner 2019",
    "X-Net": "Prabhu, Varma & Namboodiri 2018",
    "trajectory growth": "Price & Tanner 2019",
    "SAO": "Esguerra et al. 2023",
    "radial networks": "Ganev, van Laarhoven & Walters 2021",
    "RBV²": "Parhi, Wolf & Nowak 2021",
}

VERDICTS = {"agrees": "✓", "corrected": "✎", "added": "+", "not reproduced": "–"}
_REGISTERED: dict[tuple[str, str, str], "Claim"] = {}  # keyed, so that a chapter imported again replaces its own


@dataclass(frozen=True)
class Claim:
    """One statement of a paper, what it says there, what must come out here, and the function that computes it."""

    notebook: str
    paper: str
    place: str
    statement: str
    theirs: str
    ours: str
    correction: str
    addition: str
    reason: str
    compute: Callable[[], object]

    @property
    def verdict(self) -> str:
        """`agrees`, `corrected` (the paper is wrong), `added` (it leaves this open) or `not reproduced`."""
        if self.correction:
            return "corrected"
        return "added" if self.addition else "not reproduced" if self.reason else "agrees"

    @property
    def remark(self) -> str:
        """What explains the verdict: the correction, the addition or the reason; nothing where the values agree."""
        return self.correction or self.addition or self.reason

    def check(self) -> str:
        """Compute the value and return its text.

        Raises:
            AssertionError: it is not the value registered as ours, so the ledger would tell an untruth.
        """
        computed = str(self.compute())
        if computed != self.ours:
            raise AssertionError(f"{self.paper}, {self.place}: the ledger says {self.ours!r}, computed {computed!r}.")
        return computed


def claim(
    *,
    notebook: str,
    paper: str,
    place: str,
    statement: str,
    theirs: str,
    ours: str | None = None,
    correction: str = "",
    addition: str = "",
    reason: str = "",
) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Register a function without arguments as the computation behind one claim of a paper.

    Args:
        notebook: number of the notebook whose ledger shows it, such as "01".
        paper: a key of PAPERS.
        place: where it stands there, such as "Theorem 1".
        statement: what is claimed, in our own words.
        theirs: the paper's value, as text.
        ours: the text that the function's result must have; default: the paper's.
        correction: the correct statement, where the paper is wrong.
        addition: what is said here, where the paper gives no value: not asked, not given, or lost.
        reason: why it was not reproduced, where it was not.

    Raises:
        NbkitError: an unknown paper; more than one of correction, addition and reason; another value than theirs and
            none of them.
    """
    check_choice("claim", "paper", paper, PAPERS)
    ours = theirs if ours is None else ours
    given = [name for name, text in [("correction", correction), ("addition", addition), ("reason", reason)] if text]
    if len(given) > 1:
        raise NbkitError(f"claim: {' and '.join(given)} exclude each other, got them for {place}. Give one of them.")
    if ours != theirs and not given:
        raise NbkitError(
            f"claim: ours must be the paper's value {theirs!r} unless a correction, an addition or a reason is given, "
            f"got {ours!r} for {place}. Say what the correct statement is, what the paper leaves open, or why it was "
            "not reproduced."
        )

    def register(compute: Callable[[], object]) -> Callable[[], object]:
        entry = Claim(notebook, paper, place, statement, theirs, ours, correction, addition, reason, compute)
        _REGISTERED[paper, place, statement] = entry
        return compute

    return register


def all_claims() -> list[Claim]:
    """Every registered claim, chapter by chapter, in the order of the modules beside this one."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return sorted(_REGISTERED.values(), key=lambda entry: entry.notebook)


def ledger(notebook: str) -> "Ledger":
    """The claims of one notebook, each computed now; shown as a table in a notebook and as text elsewhere.

    Raises:
        NbkitError: no claim is registered for that notebook.
        AssertionError: a claim's value is no longer what the ledger says.
    """
    rows = [entry for entry in all_claims() if entry.notebook == notebook]
    if not rows:
        known = ", ".join(sorted({entry.notebook for entry in all_claims()}))
        raise NbkitError(f"ledger: notebook must be one of {known}, got {notebook!r}. Use a notebook's number.")
    for row in rows:
        row.check()
    return Ledger(tuple(rows))


def registry() -> "Ledger":
    """The claims of all notebooks as they are registered; `python -m nbkit claims` computes them, and so do the tests.

    Example:
        >>> registry().counts()["RBV²"]["corrected"] > 0
        True
    """
    return Ledger(tuple(all_claims()))


@dataclass(frozen=True, repr=False)
class Ledger:
    """Rows of claims that hold: claim · paper · here · verdict, and the correct statement where the paper is wrong or silent."""

    rows: tuple[Claim, ...]

    def counts(self) -> dict[str, dict[str, int]]:
        """paper -> verdict -> how many claims, of every paper that has one; "all" sums them up."""
        found = Counter((row.paper, row.verdict) for row in self.rows) + Counter(
            ("all", row.verdict) for row in self.rows
        )
        papers = [paper for paper in (*PAPERS, "all") if any(found[paper, verdict] for verdict in VERDICTS)]
        return {paper: {verdict: found[paper, verdict] for verdict in VERDICTS} for paper in papers}

    def columns(self) -> dict[str, list[str]]:
        """The table as columns of text, for a file."""
        names = (
            "paper",
            "place",
            "statement",
            "theirs",
            "ours",
            "verdict",
            "notebook",
            "correction",
            "addition",
            "reason",
        )
        return {name: [getattr(row, name) for row in self.rows] for name in names}

    def __repr__(self) -> str:
        return "\n".join(
            f"{row.verdict}: {row.statement} ({row.paper}, {row.place}). Paper: {row.theirs}. Here: {row.ours}."
            + (f" {row.remark}" if row.remark else "")
            for row in self.rows
        )

    def _repr_html_(self) -> str:
        of_several = len({row.notebook for row in self.rows}) > 1
        body = "".join(
            "<tr>"
            + _cells(
                row.statement,
                f"{row.paper}, {row.place}" + f" (notebook {row.notebook})" * of_several,
                row.theirs,
                row.ours,
            )
            + f"<td style='text-align: left'><b>{VERDICTS[row.verdict]} {row.verdict}</b>{'<br>' * bool(row.remark)}"
            + f"{html.escape(row.remark)}</td></tr>"
            for row in self.rows
        )
        head = "".join(
            f"<th style='text-align: left'>{title}</th>" for title in ("claim", "where", "paper", "here", "agrees?")
        )
        return f"<table><tr>{head}</tr>{body}</table>"


def _cells(*texts: str) -> str:
    return "".join(f"<td style='text-align: left'>{html.escape(text)}</td>" for text in texts)
