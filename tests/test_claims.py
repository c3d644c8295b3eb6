"""The ledger: every claim of every paper holds here, and a claim that does not is noticed."""

import csv
import itertools
from collections import Counter
from pathlib import Path

import pytest

from nbkit import claims
from nbkit.errors import NbkitError

ROOT = Path(__file__).resolve().parents[1]
OUTDATED = "outdated: run `python -m nbkit claims`, which writes data/results/claims.csv and the README's counts"


@pytest.fixture
def registry(monkeypatch):
    """An empty ledger, so that a test's own claims do not stay."""
    monkeypatch.setattr(claims, "_REGISTERED", {})
    monkeypatch.setattr(claims, "__path__", [])


def made_up(compute, **options):
    settings = {"notebook": "99", "paper": "SAO", "place": "Table 1", "statement": "1 < 2 & 2 > 1", "theirs": "3"}
    claims.claim(**(settings | options))(compute)


@pytest.mark.parametrize("entry", claims.all_claims(), ids=lambda entry: f"{entry.notebook} {entry.place}")
def test_claim_holds(entry):
    entry.check()


@pytest.fixture
def stored():
    """The rows of data/results/claims.csv."""
    with open(ROOT / "data" / "results" / "claims.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_stored_table_is_the_registry(stored):
    columns = "paper place statement theirs ours verdict notebook correction addition reason".split()
    told = [{name: getattr(row, name) for name in columns} for row in claims.registry().rows]
    assert stored == told, OUTDATED


def test_the_readme_counts_what_is_stored(stored):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| paper | agrees |")[2].partition("\n\n")[0].splitlines()[2:]
    shown = {cells[0]: tuple(map(int, cells[1:])) for line in table if (cells := line.strip("| ").split(" | "))}
    verdicts = "agrees", "corrected", "added", "not reproduced"
    found = Counter((row["paper"], row["verdict"]) for row in stored)
    wanted = {paper: tuple(found[paper, verdict] for verdict in verdicts) for paper, _ in found}
    wanted["all"] = tuple(sum(column) for column in zip(*wanted.values(), strict=True))
    assert shown == wanted, OUTDATED


def test_theorem_1_is_corrected_from_16_to_8_paths():
    # By hand: 2 * 2 * 4 * 2 routes leave each input and fall evenly on 4 outputs: 8, where 4 ** 2 = 16 is printed.
    [row] = [row for row in claims.all_claims() if row.compute.__name__ == "theorem_1"]
    assert (row.theirs, row.ours, row.verdict) == ("16", "8", "corrected")


def test_equation_5_is_corrected_from_1_to_2_and_0():
    # By hand: of [[1, -1], [-1, 1]], H = 1, the sum of the rows is 0 and the difference is 2 times (1, -1).
    [row] = [row for row in claims.all_claims() if row.compute.__name__ == "mirrored_matrix"]
    assert (row.theirs, row.ours, row.verdict) == ("1", "2 and 0", "corrected")


def test_a_claim_whose_value_has_changed_stops_the_ledger(registry):
    made_up(lambda: 4)
    with pytest.raises(AssertionError, match="SAO, Table 1: the ledger says '3', computed '4'"):
        claims.ledger("99")


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        ({}, "agrees"),
        ({"ours": "4", "correction": "It is four."}, "corrected"),
        ({"theirs": "not said, 3 or 4", "ours": "3", "addition": "Counted here."}, "added"),
        ({"ours": "-", "reason": "It takes a cluster."}, "not reproduced"),
    ],
)
def test_a_row_shows_both_values_the_verdict_and_why(registry, options, verdict):
    made_up(lambda: options.get("ours", 3), **options)
    table = claims.ledger("99")
    for shown in (repr(table), table._repr_html_()):
        assert verdict in shown and "3" in shown and options.get("ours", "3") in shown
        assert all(options.get(name, "") in shown for name in ("correction", "addition", "reason"))
    assert "1 &lt; 2 &amp; 2 &gt; 1" in table._repr_html_()


def test_rows_come_in_the_order_in_which_they_were_registered(registry):
    for place in ("Lemma 2", "Lemma 1", "Table 9"):
        made_up(lambda: 3, place=place)
    assert [row.place for row in claims.ledger("99").rows] == ["Lemma 2", "Lemma 1", "Table 9"]


def test_the_claims_of_several_notebooks_say_which_is_theirs(registry):
    made_up(lambda: 3, notebook="98", place="Lemma 2")
    assert "notebook" not in claims.ledger("98")._repr_html_()
    made_up(lambda: 3, paper="RadiX-Net", ours="-", reason="No cluster.")
    made_up(lambda: 3, paper="RadiX-Net", place="Lemma 1", theirs="lost", ours="3", addition="Counted here.")
    table = claims.registry()
    assert "SAO, Lemma 2 (notebook 98)" in table._repr_html_() and "Table 1 (notebook 99)" in table._repr_html_()
    assert table.counts() == {
        "RadiX-Net": {"agrees": 0, "corrected": 0, "added": 1, "not reproduced": 1},
        "SAO": {"agrees": 1, "corrected": 0, "added": 0, "not reproduced": 0},
        "all": {"agrees": 1, "corrected": 0, "added": 1, "not reproduced": 1},
    }


def test_another_value_needs_a_correction_or_a_reason():
    with pytest.raises(NbkitError, match="claim: ours must be the paper's value '3'.*got '4'"):
        made_up(lambda: 4, ours="4")


@pytest.mark.parametrize("others", itertools.combinations(("correction", "addition", "reason"), 2))
def test_a_claim_has_one_verdict(others):
    with pytest.raises(NbkitError, match=f"{' and '.join(others)} exclude each other.*Give one"):
        made_up(lambda: 4, ours="4", **dict.fromkeys(others, "It is four."))


def test_an_unknown_paper_is_refused():
    with pytest.raises(NbkitError, match="claim: paper must be one of"):
        made_up(lambda: 3, paper="Nature")


def test_a_notebook_without_claims_is_refused():
    with pytest.raises(NbkitError, match=r"ledger: notebook must be one of 01.*got '98'"):
        claims.ledger("98")
