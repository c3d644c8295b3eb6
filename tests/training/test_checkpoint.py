"""Checkpoints: killed, interrupted and resumed is the training that never stopped; a bad file is one error and stays."""

import functools
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from nbkit.errors import NbkitError
from nbkit.nets import FeedForward, deep_net
from nbkit.training import train
from nbkit.training.augment import crop, flip
from nbkit.training.schedules import steps, warm_up

ROOT = Path(__file__).resolve().parents[2]


def made_data():
    """Three classes of 4 x 4 images, each with a bright column of its own."""
    generator = np.random.default_rng(0)
    labels = np.arange(150) % 3
    images = (np.eye(4)[labels][:, None, :] + 0.2 * generator.standard_normal((150, 4, 4))).reshape(150, 16)
    return images[:100], labels[:100], images[100:], labels[100:]


def made_nets():
    """Sparse layers in blocks and in rows, an ordinary module that draws and has buffers, a batch of networks."""
    torch.manual_seed(0)
    convolution = [nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()]
    options = {"degree": 4, "width": 16, "n_inputs": 16, "n_classes": 3}
    return {
        "blocks": deep_net(4, "SAO", **options),
        "rows": deep_net(4, "X-Net random", **options),
        "convolution": nn.Sequential(*convolution, nn.Dropout(0.3), nn.Linear(16, 3)),
        "batch": FeedForward((16, 8, 3), n_nets=2),
    }


def blank_nets():
    """The same networks without what they have learnt or were born with."""
    nets = made_nets()
    for net in nets.values():
        for parameter in net.parameters():
            parameter.data.zero_()
    return nets


OPTIONS = {
    "steps": 36,
    "batch_size": 16,
    "learning_rate": 0.05,
    "optimizer": "sgd",
    "momentum": 0.8,
    "weight_decay": 1e-3,
    "clip_norm": 2.0,
    "schedule": warm_up(1, steps((1, 3))),
    "augment": [functools.partial(crop, padding=1), flip],
    "every": 7,
}


def streams(nets, folder=None, **options):
    data = made_data()
    places = (
        {name: {"checkpoint": folder / f"{name}.safetensors", "checkpoint_every": 3} for name in nets} if folder else {}
    )
    return {name: train(net, data, **OPTIONS | options | places.get(name, {})) for name, net in nets.items()}


def child(folder):
    """Train until killed, and say how far."""
    for records in zip(*streams(made_nets(), Path(folder), every=1).values(), strict=True):
        print(records[0].step, flush=True)
        time.sleep(0.02)


def assert_same(first, second):
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def assert_same_records(first, second):
    for one, other in zip(first, second, strict=True):
        for key in ("step", "verdict", "diverged"):
            assert getattr(one, key) == getattr(other, key)
        for key in ("loss", "test_accuracy", "gradient_norm"):
            assert torch.equal(getattr(one, key), getattr(other, key)), key


@pytest.fixture(scope="module")
def through():
    """What never stopped: networks and their records."""
    nets = made_nets()
    return nets, {name: list(stream) for name, stream in streams(nets).items()}


def test_a_training_that_was_killed_and_resumed_is_bit_for_bit_the_one_that_never_stopped(tmp_path, through):
    # the child records every step, so sums since the last record are the same only after the next one here
    command = [sys.executable, __file__, str(tmp_path), str(torch.get_num_threads())]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as run:
        for line in run.stdout:
            if int(line) >= 10:
                run.kill()
                break
    assert run.returncode == -signal.SIGKILL
    nets = blank_nets()
    for name, stream in streams(nets, tmp_path).items():
        records = list(stream)
        assert 9 <= records[0].step < 29
        n_same = sum(record.step > records[0].step + OPTIONS["every"] for record in records)
        assert_same_records(records[-n_same:], through[1][name][-n_same:])
        assert_same(nets[name], through[0][name])


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_stream_that_was_closed_goes_on_where_it_was_closed_and_its_records_go_on_too(tmp_path, optimizer):
    nets, stopped, resumed = made_nets(), made_nets(), blank_nets()
    wanted = {name: list(stream) for name, stream in streams(nets, optimizer=optimizer).items()}
    for stream in streams(stopped, tmp_path, optimizer=optimizer).values():
        next(record for record in stream if record.step == 14)
        stream.close()
    for name, stream in streams(resumed, tmp_path, optimizer=optimizer).items():
        first, *records = stream
        assert first.step == 14 and torch.equal(first.loss, wanted[name][2].loss)
        assert_same_records(records, wanted[name][3:])
        assert_same(resumed[name], nets[name])


class Interrupted(Exception):
    pass


def test_an_interrupt_from_the_keyboard_waits_for_the_step_and_nothing_is_lost(tmp_path, through):
    net, resumed = made_nets()["blocks"], blank_nets()["blocks"]
    place = itertools.count()
    hook = net[0].register_forward_hook(
        lambda *_: signal.raise_signal(signal.SIGINT) if net.training and next(place) == 7 else None
    )
    with pytest.raises(KeyboardInterrupt):
        list(streams({"blocks": net}, tmp_path)["blocks"])
    hook.remove()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    records = list(streams({"blocks": resumed}, tmp_path)["blocks"])
    assert records[0].step == 8
    assert_same(resumed, through[0]["blocks"])


def test_what_stops_a_step_before_it_changes_anything_loses_nothing(tmp_path, through):
    places = itertools.count()

    def stop(images, generator):
        if next(places) == 11:
            raise Interrupted
        return images

    nets = {"rows": made_nets()["rows"]}
    options = {"augment": [*OPTIONS["augment"], stop]}
    with pytest.raises(Interrupted):
        list(streams(nets, tmp_path, **options)["rows"])
    [first, *_] = streams({"rows": blank_nets()["rows"]}, tmp_path, **options)["rows"]
    assert first.step == 11


def test_what_stops_a_step_while_parameters_change_leaves_the_checkpoint_before_it(tmp_path, monkeypatch, through):
    take, places = torch.optim.SGD.step, itertools.count()

    def stop(self):
        take(self)
        if next(places) == 10:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", stop)
        with pytest.raises(Interrupted):
            list(streams({"rows": made_nets()["rows"]}, tmp_path)["rows"])
    resumed = blank_nets()["rows"]
    records = list(streams({"rows": resumed}, tmp_path)["rows"])
    assert records[0].step == 9
    assert_same(resumed, through[0]["rows"])


def test_what_stops_the_writing_leaves_the_old_file(tmp_path, monkeypatch):
    stream = streams({"batch": made_nets()["batch"]}, tmp_path)["batch"]
    next(record for record in stream if record.step == 7)
    stream.close()
    before = (tmp_path / "batch.safetensors").read_bytes()

    def stop(descriptor):
        raise Interrupted

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(Interrupted):
        list(streams({"batch": made_nets()["batch"]}, tmp_path)["batch"])
    assert (tmp_path / "batch.safetensors").read_bytes() == before


def test_a_stream_of_another_thread_trains_and_writes_as_well(tmp_path, through):
    nets = made_nets()
    thread = threading.Thread(target=lambda: list(streams({"batch": nets["batch"]}, tmp_path)["batch"]))
    thread.start()
    thread.join()
    assert_same(nets["batch"], through[0]["batch"])


def test_a_finished_training_is_only_loaded_with_its_last_record(tmp_path, through):
    nets, loaded = made_nets(), blank_nets()
    last = {name: list(stream)[-1] for name, stream in streams(nets, tmp_path).items()}
    for name, stream in streams(loaded, tmp_path).items():
        [record] = stream
        assert record.is_last and torch.equal(record.loss, last[name].loss)
        assert torch.equal(record.test_accuracy, last[name].test_accuracy)
        assert_same(loaded[name], nets[name])


def test_a_training_that_was_given_up_stays_given_up(tmp_path):
    images, labels, *test = made_data()
    options = {"patience": 1, "steps": 40, "batch_size": 20, "checkpoint": tmp_path / "run.safetensors"}
    for n_records in (2, 1):
        records = list(train(FeedForward((16, 3)), (0 * images, labels, *test), **options))
        assert len(records) == n_records and records[-1].step == 10
        assert records[-1].verdict.startswith("did not train: ")


def test_a_training_that_diverged_leaves_the_last_sound_checkpoint(tmp_path):
    options = {"steps": 20, "learning_rate": 1e20, "optimizer": "sgd", "checkpoint": tmp_path / "run.safetensors"}
    for _ in range(2):
        *_, last = train(FeedForward((16, 8, 3)), made_data(), checkpoint_every=1, **options)
        assert last.verdict.startswith("diverged at step 1 ") and last.step == 1


@pytest.fixture
def written(tmp_path):
    """A checkpoint of the batch of networks, at its end."""
    list(streams({"batch": made_nets()["batch"]}, tmp_path)["batch"])
    return tmp_path / "batch.safetensors"


DAMAGES = {
    "half": (lambda whole: whole[: len(whole) // 2], "a file that is damaged or no safetensors file"),
    "a byte less": (lambda whole: whole[:-1], "a file that is damaged or no safetensors file"),
    "text": (lambda whole: b"not a checkpoint at all", "a file that is damaged or no safetensors file"),
    "empty": (lambda whole: b"", "an empty file"),
    "something else": (lambda whole: save({"a": torch.zeros(3)}), "a safetensors file that is no checkpoint"),
}


@pytest.mark.parametrize("damage, message", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_one_error_and_stays(tmp_path, written, damage, message):
    content = damage(written.read_bytes())
    written.write_bytes(content)
    wanted = f"train: the checkpoint .*batch.safetensors must come from this very training, got {message}.*Delete it"
    with pytest.raises(NbkitError, match=wanted):
        next(streams({"batch": made_nets()["batch"]}, tmp_path)["batch"])
    assert written.read_bytes() == content


def test_a_folder_in_the_checkpoints_place_is_one_error(tmp_path):
    (tmp_path / "batch.safetensors").mkdir()
    with pytest.raises(NbkitError, match="must be the path of a file, got the folder"):
        next(streams({"batch": made_nets()["batch"]}, tmp_path)["batch"])


SETTINGS = {
    "steps": ({"steps": 40}, "n_steps 36 for 40"),
    "seed": ({"seed": 3}, "entropy"),
    "batch": ({"batch_size": 8}, "batch_size 16 for 8"),
    "optimizer": ({"optimizer": "adam"}, "optimizer 'sgd' for 'adam'"),
    "momentum": ({"momentum": 0.9}, "momentum 0.8 for 0.9"),
    "decay": ({"weight_decay": 0}, "weight_decay 0.001 for 0.0"),
    "rate": ({"learning_rate": 0.1}, r"learning_rate \[0.05\] for \[0.1\]"),
    "schedule": ({"schedule": steps((1, 3))}, r"schedule 'warm_up\(1, steps\(1, 3; 0.1\)\)' for 'steps"),
    "clip": ({"clip_norm": None}, "clip_norm 2.0 for None"),
    "augment": ({"augment": crop}, "augment"),
}


@pytest.mark.parametrize("change, message", SETTINGS.values(), ids=SETTINGS)
def test_a_checkpoint_of_other_settings_is_refused(tmp_path, written, change, message):
    before = written.read_bytes()
    with pytest.raises(NbkitError, match=f"must come from this very training, got {message}.*Delete it"):
        next(streams({"batch": made_nets()["batch"]}, tmp_path, **change)["batch"])
    assert written.read_bytes() == before


def test_a_checkpoint_of_other_data_is_refused(written):
    images, *others = made_data()
    options = OPTIONS | {"checkpoint": written}
    with pytest.raises(NbkitError, match="got checksum of the training data"):
        next(train(made_nets()["batch"], (images + 1, *others), **options))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: FeedForward((16, 9, 3), n_nets=2), r"weights.0 \(2, 8, 16\) float32 for \(2, 9, 16\) float32"),
        (lambda: FeedForward((16, 8, 8, 3), n_nets=2), r"weights.1 \(2, 3, 8\) float32 for \(2, 8, 8\) float32"),
        (lambda: FeedForward((16, 3), n_nets=2), r"weights.0 \(2, 8, 16\) float32 for \(2, 3, 16\) float32"),
        (lambda: nn.Linear(16, 3), "weight missing for"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused_and_nothing_is_touched(written, make, message):
    net = make()
    before, content = {name: value.clone() for name, value in net.state_dict().items()}, written.read_bytes()
    with pytest.raises(NbkitError, match=f"must come from this very training, got {message}"):
        next(train(net, made_data(), **OPTIONS | {"checkpoint": written}))
    assert written.read_bytes() == content
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_checkpoint_of_the_same_widths_and_other_wires_is_refused(tmp_path):
    nets = [deep_net(2, "SAO", width=16, n_inputs=16, n_classes=3, seed=seed) for seed in (0, 1)]
    first, second = (train(net, made_data(), steps=4, checkpoint=tmp_path / "run.safetensors") for net in nets)
    list(first)
    with pytest.raises(NbkitError, match="must come from this very training, got checksum of the wires"):
        next(second)


def test_a_folder_that_cannot_be_made_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NbkitError, match="train: checkpoint must be in a folder that can be made"):
        next(train(FeedForward((16, 3)), made_data(), steps=1, checkpoint=tmp_path / "file" / "run.safetensors"))


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    for folder in (tmp_path, ""):
        with pytest.raises(NbkitError, match="train: checkpoint must be the path of a file, got the folder"):
            next(train(FeedForward((16, 3)), made_data(), steps=1, checkpoint=folder))


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[2]))
    child(sys.argv[1])
