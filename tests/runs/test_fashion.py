"""Tables 9 and 11 on Fashion-MNIST: the run is whole and resumable, and what is stored is what the code gives again."""

import json
import shutil
import struct
from dataclasses import asdict, replace

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.results import load_result
from nbkit.runs.fashion import DEBIAN, Settings, run_fashion, table_9, table_11

STORED = Settings()
TABLES = ("fashion_cnn", "fashion_lip")


class Stop(KeyboardInterrupt):
    """Stands for ctrl-C at a bad moment."""


def silent(line):
    pass


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Of a small run on sixty images of noise."""
    folder, rng = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for name in ("train", "t10k"):
        pixels, labels = rng.integers(0, 256, (60, 28, 28), dtype=np.uint8), np.arange(60, dtype=np.uint8) % 10
        (folder / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 0x803, 60, 28, 28) + pixels.tobytes())
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, 60) + labels.tobytes())
    few = {"n_test": 20, "batch_size": 10, "cnn_n_train": 40, "cnn_side": 7, "lip_n_train": 20, "lip_epochs": 1}
    cnn = {"cnn_depths": (3,), "cnn_densities": (1 / 4,), "cnn_width": 8, "cnn_epochs": 2}
    return Settings(str(folder), **few, **cnn, lip_depths=(5,), lip_densities=(1 / 2,), lip_channels=2)


@pytest.fixture(scope="module")
def small(settings, tmp_path_factory):
    """The folder of its tables."""
    folder = tmp_path_factory.mktemp("small")
    run_fashion(work=folder / "work", say=silent, settings=settings, folder=folder)
    return folder


def test_a_whole_run_stores_both_tables_and_leaves_nothing_else(small):
    assert {path.name for path in small.iterdir()} == {f"{name}.{end}" for name in TABLES for end in ("csv", "json")}
    cnn, lip = (load_result(name, folder=small) for name in TABLES)
    assert not cnn.is_partial and not lip.is_partial and cnn.sidecar["settings"]["data"] == "Fashion-MNIST"
    told = list(zip(cnn.columns["method"], cnn.columns["density"], cnn.columns["epoch"], strict=True))
    assert told == [("Dense", 1, 0), ("Dense", 1, 1), ("Dense", 1, 2)] + [
        (method, 0.25, epoch) for method in ("SAO", "LMP-S") for epoch in range(3)
    ]
    assert [*dict.fromkeys(lip.columns["method"])] == ["Dense", "SAO", "LMP-S", "LMP-T", "RG-S"]
    is_t = lip.columns["method"] == "LMP-T"
    assert lip.columns["phase"][is_t].tolist() == ["train", "train", "finetune", "finetune"]
    assert lip.columns["epoch"][is_t].tolist() == [0, 1, 1, 2]
    assert np.isnan(cnn.columns["loss"][0]) and 0 <= cnn.columns["accuracy"].min() <= cnn.columns["accuracy"].max() <= 1


@pytest.mark.parametrize("moment", ["table_9: 3, SAO", "table_11: 5, Dense"])
def test_an_interrupted_run_stores_a_part_and_goes_on_to_the_same_tables(settings, small, tmp_path, moment):
    lines = []

    def say(line):
        lines.append(line)
        if line.startswith(moment):
            raise Stop

    with pytest.raises(Stop):
        run_fashion(work=tmp_path / "work", say=say, settings=settings, folder=tmp_path)
    assert load_result(TABLES[0], folder=tmp_path).is_partial == moment.startswith("table_9")
    run_fashion(work=tmp_path / "work", say=lines.append, settings=settings, folder=tmp_path)
    cells = [line for line in lines if line.startswith("table_")]
    assert len(cells) == 3 + 5  # none twice
    for name in TABLES:
        here, there = (load_result(name, folder=folder) for folder in (tmp_path, small))
        assert not here.is_partial and here.columns.keys() == there.columns.keys()
        for column in here.columns:
            assert here.columns[column].tolist() == pytest.approx(there.columns[column].tolist(), nan_ok=True)


def test_an_interrupted_run_leaves_what_a_longer_one_has_stored(settings, small, tmp_path):
    def say(line):
        raise Stop

    shutil.copytree(small, tmp_path / "out")
    with pytest.raises(Stop):
        run_fashion(work=tmp_path / "work", say=say, settings=settings, folder=tmp_path / "out")
    assert not load_result("fashion_cnn", folder=tmp_path / "out").is_partial


def test_without_the_data_the_reader_is_told_where_to_get_them(tmp_path):
    with pytest.raises(NbkitError, match="run_fashion: data must be a folder .*apt install dataset-fashion-mnist"):
        run_fashion(work=tmp_path, say=silent, data=tmp_path / "none")
    with pytest.raises(NbkitError, match="full_split: the folder must hold train-images"):
        run_fashion(work=tmp_path, say=silent, data=tmp_path)


@pytest.mark.parametrize("name", TABLES)
def test_the_stored_run_is_the_one_that_the_code_makes(name):
    stored = load_result(name)
    assert stored.sidecar["settings"] == json.loads(json.dumps(asdict(STORED) | {"data": "Fashion-MNIST"}))
    columns = stored.columns
    cells = {*zip(columns["depth"], columns["method"], columns["density"], strict=True)}
    assert len(cells) == stored.sidecar["steps"] and stored.is_partial == (len(cells) < stored.sidecar["cells"])


@pytest.mark.skipif(not DEBIAN.is_dir(), reason=f"there is no {DEBIAN}: apt install dataset-fashion-mnist")
@pytest.mark.parametrize(
    ("name", "make", "method"), [("fashion_cnn", table_9, "SAO"), ("fashion_lip", table_11, "RG-S")]
)
def test_the_first_epoch_of_the_stored_run_is_met_again(name, make, method):
    """Loss to 3 %, accuracy to 5 points of a thousand images: rounding differs between machines, training enlarges it."""
    depth, density = (8, 1 / 8) if name == "fashion_cnn" else (5, 1 / 8)
    columns = load_result(name).columns
    wanted = (columns["depth"] == depth) & (columns["method"] == method) & np.isclose(columns["density"], density)
    once = replace(STORED, cnn_epochs=1, lip_epochs=1)  # the warm-up of the first epoch knows of no other
    born, trained = make(once, depth, method, density)
    assert born["accuracy"] == pytest.approx(columns["accuracy"][wanted][0], abs=0.01)
    assert trained["loss"] == pytest.approx(columns["loss"][wanted][1], rel=0.03)
    assert trained["accuracy"] == pytest.approx(columns["accuracy"][wanted][1], abs=0.05)
