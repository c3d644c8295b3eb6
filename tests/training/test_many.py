"""Many regularised trainings in one: each goes as it would alone, can be stopped and resumed, and harms no other."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.nets import FullSkipNet, FullSkipNets, SkipNets
from nbkit.training import PENALTIES, descend_many

MANY = [("rbv2", 1e-2), ("weight_decay", 1e-2), ("none", 0), ("rbv2", 0.3), ("weight_decay", 0.3)]


@pytest.fixture
def samples():
    draw = np.random.default_rng(0)
    return torch.tensor(draw.uniform(-1, 1, (9, 2))), torch.tensor(draw.uniform(-1, 1, (9, 1)))


def made(n_runs=len(MANY), seed=0):
    """Networks that start alike but are trained differently, in float64."""
    return SkipNets((2, 3, 1), 8, seeds=(seed,) * n_runs).double()


def state(nets):
    return [values.detach().clone() for values in nets.parameters()]


def assert_equal(nets, others):
    assert all(map(torch.equal, state(nets), state(others)))


def last(*arguments, **options):
    *_, record = descend_many(*arguments, **options)
    return record


def plain(net, x, y, method, strength, n_steps, *, lr=1e-3, final_lr=None):
    """Losses before each step and after the last of an ordinary torch training of one network."""
    decay = 2 * strength if method == "weight_decay" else 0
    adam = torch.optim.Adam(net.parameters(), lr=lr, weight_decay=decay)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(
        adam, max(n_steps, 1), eta_min=lr if final_lr is None else final_lr
    )
    losses = []
    for step in range(n_steps + 1):
        loss = torch.nn.functional.mse_loss(net(x), y)
        losses.append(loss.item())
        if step == n_steps:
            return losses
        if method == "rbv2":
            for layer in net.layers:
                per_neuron = layer.V.abs().sum(dim=0).square() + layer.W.square().sum(dim=1)
                loss = loss + strength * (layer.C.abs().sum() + per_neuron.sum())
        adam.zero_grad()
        loss.backward()
        adam.step()
        fall.step()


@pytest.mark.parametrize("final_lr", [None, 1e-4])
def test_every_run_is_an_ordinary_adam_training(samples, final_lr):
    # weight decay against torch's own `weight_decay`, whose gradient is that of half its square
    nets, n_steps = made(), 60
    singles = [copy.deepcopy(nets[run]) for run in range(nets.n_runs)]
    options = {"lr": 0.02, "final_lr": final_lr}
    records = [*descend_many(nets, *samples, MANY, max_steps=n_steps, every=1, **options)]
    assert [record.step for record in records] == [*range(n_steps + 1)]
    for run, (single, penalty) in enumerate(zip(singles, MANY, strict=True)):
        wanted = plain(single, *samples, *penalty, n_steps, **options)
        assert [record.losses[run].item() for record in records] == pytest.approx(wanted, rel=1e-8)
        for one, other in zip(nets[run].parameters(), single.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


def test_side_by_side_is_one_by_one_step_by_step(samples):
    nets, singles = made(), [made(1) for _ in MANY]
    options = {"max_steps": 40, "lr": 0.02, "every": 1}
    streams = [descend_many(one, *samples, [penalty], **options) for one, penalty in zip(singles, MANY, strict=True)]
    for record, *alone in zip(descend_many(nets, *samples, MANY, **options), *streams, strict=True):
        torch.testing.assert_close(record.losses, torch.cat([each.losses for each in alone]), rtol=1e-9, atol=0)
        for values, *others in zip(nets.parameters(), *(one.parameters() for one in singles), strict=True):
            torch.testing.assert_close(values, torch.cat(others), rtol=1e-9, atol=1e-10)


def test_fully_connected_ones_are_ordinary_adam_trainings(samples):
    nets = FullSkipNets(2, (6, 5), 1, seeds=(0, 1)).double()
    penalties = [("weight_decay", 1e-2), ("none", 0)]
    record = last(nets, *samples, penalties, max_steps=50, lr=0.02)
    for seed, penalty in enumerate(penalties):
        single = FullSkipNet(2, (6, 5), 1, seed=seed).double()
        wanted = plain(single, *samples, *penalty, 50, lr=0.02)
        assert record.losses[seed].item() == pytest.approx(wanted[-1], rel=1e-8)
        torch.testing.assert_close(nets.between[0][seed], single.A[0], rtol=1e-8, atol=1e-9)


def test_every_few_steps_says_the_same_and_the_grid_of_records_is_kept(samples):
    often, seldom = made(), made()
    fine = [*descend_many(often, *samples, MANY, max_steps=10, every=1)]
    coarse = [*descend_many(seldom, *samples, MANY, max_steps=10, every=4)]
    assert [record.step for record in coarse] == [0, 4, 8, 10]
    for record in coarse:
        assert torch.equal(record.losses, fine[record.step].losses) and record.losses.dtype == torch.float64
        assert record.diverged == (None,) * len(MANY)
    assert_equal(often, seldom)
    assert [record.step for record in descend_many(made(), *samples, MANY, max_steps=0)] == [0]
    assert [record.step for record in descend_many(made(), *samples, MANY, max_steps=3, every=10**12)] == [0, 3]


def test_medians_are_those_of_all_steps_since_the_last_record(samples):
    options = {"max_steps": 33, "lr": 0.9}  # a rate at which errors jump
    losses = torch.stack([record.losses for record in descend_many(made(), *samples, MANY, every=1, **options)]).numpy()
    before = 0
    for record in descend_many(made(), *samples, MANY, every=8, **options):
        wanted = np.median(losses[before : record.step + 1], axis=0)
        np.testing.assert_allclose(record.median_losses, wanted, rtol=1e-12)
        before = record.step
    assert (losses.max(axis=0) > 5 * np.median(losses, axis=0)).any()


def test_a_late_spike_is_not_in_the_median(samples, monkeypatch):
    honest, spiked = made(), made()
    wanted = last(honest, *samples, MANY, max_steps=20, every=20)
    gradients, calls = spiked.gradients, itertools.count()
    monkeypatch.setattr(spiked, "gradients", lambda y: gradients(y) * (1e6 if next(calls) == 15 else 1))
    found = last(spiked, *samples, MANY, max_steps=20, every=20)
    torch.testing.assert_close(found.median_losses, wanted.median_losses, rtol=0.1, atol=0)


def test_a_regularised_training_fits_less_and_weighs_less(samples):
    nets = made(3)
    record = last(nets, *samples, [("none", 0), ("rbv2", 1e-2), ("rbv2", 1e-1)], max_steps=300, lr=0.01)
    weights = [sum(values[run].square().sum().item() for values in nets.parameters()) for run in range(3)]
    assert record.losses[0] < record.losses[1] < record.losses[2] and weights[0] > weights[1] > weights[2]


@pytest.mark.parametrize("final_lr", [None, 1e-4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_resumed_from_a_checkpoint_it_is_the_training_that_never_stopped(samples, tmp_path, dtype, final_lr):
    through, stopped, resumed = made().to(dtype), made().to(dtype), made(seed=7).to(dtype)
    options = {"max_steps": 45, "every": 10, "lr": 0.02, "final_lr": final_lr}
    records = [*descend_many(through, *samples, MANY, **options)]
    options |= {"checkpoint": tmp_path / "no" / "such folder" / "runs.safetensors", "checkpoint_every": 8}
    for record in descend_many(stopped, *samples, MANY, **options):
        if record.step == 30:
            break
    again = [*descend_many(resumed, *samples, MANY, **options)]
    assert [record.step for record in again] == [24, 30, 40, 45]
    assert_equal(through, resumed)
    assert all(torch.equal(a.losses, b.losses) for a, b in zip(records[-3:], again[-3:], strict=True))
    assert all(torch.equal(a.median_losses, b.median_losses) for a, b in zip(records[-2:], again[-2:], strict=True))


def test_a_finished_training_is_only_loaded_and_may_go_on(samples, tmp_path):
    nets, more, less, through = (made(seed=seed) for seed in (0, 1, 2, 0))
    path = tmp_path / "runs.safetensors"
    last(nets, *samples, MANY, max_steps=20, checkpoint=path)
    assert [record.step for record in descend_many(less, *samples, MANY, max_steps=5, checkpoint=path)] == [20]
    assert_equal(less, nets)
    assert last(more, *samples, MANY, max_steps=30, checkpoint=path).step == 30
    last(through, *samples, MANY, max_steps=30)
    assert_equal(more, through)


OTHERS = {
    "penalty": {"penalties": [("rbv2", 1e-3)] + MANY[1:]},
    "method": {"penalties": [("weight_decay", 1e-2)] + MANY[1:]},
    "rate": {"lr": 0.5},
    "schedule": {"final_lr": 1e-5},
    "samples": {"x": torch.ones(9, 2).double()},
    "values": {"y": torch.ones(9).double()},
    "neurons": {"nets": lambda: SkipNets((2, 3, 1), 9, seeds=(5,) * len(MANY)).double()},
    "depth": {"nets": lambda: SkipNets((2, 1), 8, seeds=(5,) * len(MANY)).double()},
    "runs": {"nets": lambda: made(2, seed=5), "penalties": MANY[:2]},
    "dtype": {"nets": lambda: made(seed=5).float()},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_checkpoint_of_another_training_is_refused_and_nothing_is_touched(samples, tmp_path, other):
    path = tmp_path / "runs.safetensors"
    last(made(), *samples, MANY, max_steps=4, checkpoint=path)
    written = path.read_bytes()
    given = {"nets": lambda: made(seed=5), "x": samples[0], "y": samples[1], "penalties": MANY} | other
    nets = given.pop("nets")()
    before = state(nets)
    with pytest.raises(NbkitError, match="the checkpoint .*runs.safetensors must come from this very training, got"):
        next(descend_many(nets, **given, max_steps=8, checkpoint=path))
    assert path.read_bytes() == written and all(map(torch.equal, before, state(nets)))


@pytest.mark.parametrize("damage", ["half", "text", "empty", "folder"])
def test_a_damaged_checkpoint_is_one_error_and_stays(samples, tmp_path, damage):
    path = tmp_path / "runs.safetensors"
    last(made(), *samples, MANY, max_steps=4, checkpoint=path)
    whole = path.read_bytes()
    written = {"half": whole[: len(whole) // 2], "text": b"no archive", "empty": b""}.get(damage)
    path.unlink()
    path.mkdir() if written is None else path.write_bytes(written)
    rule = "must be the path of a file, got the folder" if written is None else "must come from this very training"
    with pytest.raises(NbkitError, match=rule):
        next(descend_many(made(), *samples, MANY, max_steps=8, checkpoint=path))
    assert path.is_dir() if written is None else path.read_bytes() == written


def test_an_interrupt_between_two_records_leaves_networks_that_can_be_used_and_trained_on(samples):
    nets, wanted = made(), made()
    stream = descend_many(nets, *samples, MANY, max_steps=100, every=10)
    assert [next(stream).step for _ in range(3)] == [0, 10, 20]
    with pytest.raises(KeyboardInterrupt):
        stream.throw(KeyboardInterrupt)
    assert [*stream] == []
    last(wanted, *samples, MANY, max_steps=20)
    assert_equal(nets, wanted)
    first, *_, end = descend_many(nets, *samples, MANY, max_steps=200)
    assert (end.losses[2] < first.losses[2]).item() and end.step == 200


@pytest.mark.parametrize("where", ["gradients", "penalise"])
def test_an_interrupt_inside_a_step_leaves_the_step_before(samples, monkeypatch, where):
    nets, wanted = made(), made()
    work, calls = getattr(nets, where), itertools.count()

    def interrupted(*arguments, **options):
        work(*arguments, **options)
        if next(calls) == 13 + (where == "penalise"):  # which is called once before the first step
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if where == "gradients":
            results = nets.gradients
            patch.setattr(nets, where, lambda y: (interrupted(y), results(y))[1])
        else:
            patch.setattr(nets, where, interrupted)
        last(nets, *samples, MANY, max_steps=100)
    last(wanted, *samples, MANY, max_steps=13)
    assert_equal(nets, wanted)
    assert all(nets[run](samples[0]).isfinite().all() for run in range(nets.n_runs))
    assert last(nets, *samples, MANY, max_steps=30).step == 30


@pytest.mark.parametrize("method", ["rbv2", "weight_decay"])
def test_a_run_that_diverges_is_named_with_its_step_and_harms_no_other(samples, method):
    penalties = [("rbv2", 1e-2), (method, 1e308), ("none", 0)]
    nets, sound = made(3), made(3)
    records = [*descend_many(nets, *samples, penalties, max_steps=50, every=20)]
    wanted = [*descend_many(sound, *samples, [penalties[0], ("none", 0), penalties[2]], max_steps=50, every=20)]
    first = next(
        step for step, loss in enumerate(plain(made(1)[0], *samples, *penalties[1], 5)) if not math.isfinite(loss)
    )
    assert [record.diverged for record in records] == [(None,) * 3] + [(None, first, None)] * 3 and first >= 1
    for here, there in zip(records, wanted, strict=True):
        assert torch.equal(here.losses[[0, 2]], there.losses[[0, 2]])
        assert torch.equal(here.median_losses[[0, 2]], there.median_losses[[0, 2]])
    for one, other in zip(nets.parameters(), sound.parameters(), strict=True):
        assert torch.equal(one[[0, 2]], other[[0, 2]]) and one[1].isnan().any()
    with pytest.raises(NbkitError, match="must be finite"):
        nets[1]


@pytest.mark.parametrize("every", [1, 3, 10, 100])
def test_the_step_of_a_late_divergence_is_exact_and_where_all_diverged_the_stream_ends(samples, monkeypatch, every):
    nets, (early, late) = made(2), (5, 23)
    gradients, calls = nets.gradients, itertools.count()

    def poisoned(y):
        step = next(calls)
        with torch.no_grad():
            for run in [run for run, lost in enumerate((late, early)) if lost == step]:
                nets.outer[0][run, 0, 0] = math.nan
        return gradients(y)

    monkeypatch.setattr(nets, "gradients", poisoned)
    records = [*descend_many(nets, *samples, MANY[:2], max_steps=90, every=every)]
    end = min(90, every * -(-(late + 1) // every))  # the record that sees it
    assert [record.step for record in records] == [*range(0, end, every), end]
    assert records[-1].diverged == (late, early)
    for record in records:
        assert record.diverged[1] == (early if record.step > early else None)


def test_a_rate_beyond_all_bounds_diverges_as_torch_does(samples):
    penalties = [("weight_decay", 1.0), ("none", 0)]
    wanted = []
    for penalty in penalties:
        losses = plain(made(1)[0], *samples, *penalty, 5, lr=1e39)
        wanted.append(next(step for step, loss in enumerate(losses) if not math.isfinite(loss)))
    *_, end = descend_many(made(2), *samples, penalties, max_steps=100, every=10, lr=1e39)
    assert list(end.diverged) == wanted and end.step == 10


def test_a_target_beyond_the_largest_square_diverges_before_the_first_step(samples):
    x, y = samples
    (record,) = descend_many(made(), x, 1e200 * y, MANY, max_steps=50)
    assert record.step == 0 and record.diverged == (0,) * len(MANY)


def test_whoever_watches_may_differentiate_and_needs_no_gradients(samples):
    for record in descend_many(made(), *samples, MANY, max_steps=4, every=2):
        assert torch.is_grad_enabled() and not record.losses.requires_grad
    with torch.no_grad():
        nets, wanted = made(), made()
        last(nets, *samples, MANY, max_steps=4)
    last(wanted, *samples, MANY, max_steps=4)
    assert_equal(nets, wanted)


def test_samples_may_be_lists_arrays_or_change_later(samples):
    x, y = samples
    nets, wanted = made(), made()
    for record in descend_many(nets, (x_mine := x.clone()), (y_mine := y.clone()), MANY, max_steps=20, every=5):
        x_mine.zero_(), y_mine.zero_()
    end = last(wanted, x.tolist(), y.numpy()[:, 0], MANY, max_steps=20, every=5)
    assert_equal(nets, wanted)
    assert torch.equal(record.losses, end.losses)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"penalties": [("rbv2", -1e-3)] * 2}, "lambda must be at least 0, and 0 for 'none', got -0.001 for 'rbv2'"),
        ({"penalties": [("weight_decay", -1)] * 2}, "got -1 for 'weight_decay'"),
        ({"penalties": [("none", 0.1)] * 2}, "got 0.1 for 'none'"),
        ({"penalties": [("rbv2", math.nan)] * 2}, "a penalty's lambda must be a finite number"),
        ({"penalties": [("rbv2", "1")] * 2}, "a penalty's lambda must be a finite number"),
        ({"penalties": [("ridge", 1)] * 2}, "a penalty's name must be one of 'rbv2', 'weight_decay', 'none'"),
        ({"penalties": [("rbv2", 1)]}, "one .name, lambda. for each of the 2 networks"),
        ({"penalties": ("rbv2", 1)}, "one .name, lambda. for each of the 2 networks"),
        ({"penalties": None}, "one .name, lambda. for each of the 2 networks, got None"),
        ({"x": torch.ones(9, 3)}, r"x must be \(n, 2\) and y \(n, 1\).*got the shapes \(9, 3\) and \(9, 1\)"),
        ({"x": torch.ones(9)}, r"x must be \(n, 2\)"),
        ({"x": torch.ones(0, 2), "y": torch.ones(0, 1)}, "one n of at least 1"),
        ({"y": torch.ones(8)}, r"got the shapes \(9, 2\) and \(8, 1\)"),
        ({"y": torch.ones(9, 2)}, r"got the shapes \(9, 2\) and \(9, 2\)"),
        ({"y": torch.ones(9, 1, 1)}, "Give one row of y"),
        ({"y": 3}, "got the shapes"),
        ({"x": torch.full((9, 2), math.nan)}, "x must be finite"),
        ({"y": torch.full((9,), math.inf)}, "y must be finite"),
        ({"x": "x"}, "x must be an array of numbers"),
        ({"max_steps": -1}, "max_steps must be an integer of at least 0, got -1"),
        ({"every": 0}, "every must be an integer of at least 1, got 0"),
        ({"checkpoint_every": 0}, "checkpoint_every must be an integer of at least 1"),
        ({"lr": 0}, "lr must be a finite number"),
        ({"lr": math.inf}, "lr must be a finite number"),
        ({"final_lr": -1e-3}, "final_lr must be a finite number"),
        (
            {"max_steps": 10**13, "every": 10**13},
            "must fit into the memory budget.*Lower the number of samples or every",
        ),
        ({"checkpoint": 3}, "checkpoint must be the path of a .safetensors file, got 3"),
        ({"nets": torch.nn.Linear(2, 1)}, "nets must be SkipNets or FullSkipNets, got Linear"),
    ],
)
def test_bad_input_is_one_error_before_the_first_step(samples, change, said):
    nets = made(2)
    before = state(nets)
    given = {"nets": nets, "x": samples[0], "y": samples[1], "penalties": [("rbv2", 1e-3), ("none", 0)], "max_steps": 5}
    with pytest.raises(NbkitError, match=f"descend_many: (.*){said}"):
        next(descend_many(**given | change))
    assert all(map(torch.equal, before, state(nets)))


def test_more_samples_than_there_is_memory_for_are_refused(monkeypatch):
    nets, x = made(2), torch.ones(10_000, 2)
    monkeypatch.setenv("NBKIT_MEMORY", "1MiB")
    with pytest.raises(NbkitError, match="descend_many: .* memory budget.*Lower the number of samples or every"):
        next(descend_many(nets, x, x[:, 0], [("none", 0)] * 2, max_steps=5))


def test_fully_connected_networks_have_no_rbv2_penalty(samples):
    nets = FullSkipNets(2, (4,), 1, seeds=(0, 0)).double()
    with pytest.raises(NbkitError, match="FullSkipNets: the rbv2 penalty must meet neurons between linear nodes"):
        next(descend_many(nets, *samples, [("weight_decay", 1), ("rbv2", 1)], max_steps=5))


def test_the_names_of_penalties_are_those_of_the_results():
    assert PENALTIES == ("rbv2", "weight_decay", "none")


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("final_lr", [None, 1e-3])
@pytest.mark.parametrize("every", [1, 4, 25])
def test_cuda_trains_as_the_cpu_does(samples, every, final_lr):
    # the first steps are plain, then comes a graph: medians look at each of them
    options = {"max_steps": 50, "every": every, "lr": 0.02, "final_lr": final_lr}
    nets, wanted = made().cuda(), made()
    for here, there in zip(descend_many(nets, *samples, MANY, **options), descend_many(wanted, *samples, MANY, **options), strict=True):  # fmt: skip
        assert here.losses.device.type == "cpu" and here.step == there.step
        torch.testing.assert_close(here.losses, there.losses, rtol=1e-7, atol=0)
        torch.testing.assert_close(here.median_losses, there.median_losses, rtol=1e-7, atol=0)
        for one, other in zip(nets.parameters(), wanted.parameters(), strict=True):
            torch.testing.assert_close(one.detach().cpu(), other.detach(), rtol=1e-7, atol=1e-8)


@pytest.mark.gpu
@needs_cuda
def test_fully_connected_ones_on_cuda_train_as_on_the_cpu(samples):
    penalties = [("weight_decay", 1e-2), ("none", 0)]
    ends = [
        last(FullSkipNets(2, (9, 7), 1, seeds=(0, 1)).double().to(device), *samples, penalties, max_steps=50, lr=0.02)
        for device in ("cuda", "cpu")
    ]
    torch.testing.assert_close(ends[0].losses, ends[1].losses, rtol=1e-7, atol=0)


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("final_lr", [None, 1e-3])
def test_on_cuda_a_resumed_training_is_the_one_that_never_stopped(samples, tmp_path, final_lr):
    through, stopped, resumed = made().cuda(), made().cuda(), made(seed=7).cuda()
    options = {"max_steps": 45, "every": 10, "lr": 0.02, "final_lr": final_lr}
    last(through, *samples, MANY, **options)
    options |= {"checkpoint": tmp_path / "runs.safetensors", "checkpoint_every": 8}
    for record in descend_many(stopped, *samples, MANY, **options):
        if record.step == 30:
            break
    assert next(record.step for record in descend_many(copy.deepcopy(resumed), *samples, MANY, **options)) == 24
    last(resumed, *samples, MANY, **options)
    for one, other in zip(state(through), state(resumed), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


@pytest.mark.gpu
@needs_cuda
def test_on_cuda_a_run_that_diverges_is_named_with_its_step_and_harms_no_other(samples):
    penalties = [("rbv2", 1e-2), ("weight_decay", 1e308), ("none", 0)]
    nets, sound = made(3).cuda(), made(3).cuda()
    end = last(nets, *samples, penalties, max_steps=30)
    wanted = last(sound, *samples, [penalties[0], ("none", 0), penalties[2]], max_steps=30)
    assert end.diverged[0] is end.diverged[2] is None and end.diverged[1] in (1, 2)
    torch.testing.assert_close(end.losses[[0, 2]], wanted.losses[[0, 2]], rtol=1e-9, atol=0)
