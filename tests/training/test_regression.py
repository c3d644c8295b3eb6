"""Full-batch descent: the steps are torch's own, it stops where it should, bad input is one error."""

import math

import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.nets import RadialNet
from nbkit.training import OPTIMIZERS, bells, descend, grid_points, make_optimizer


@pytest.fixture
def line():
    """A linear map from 2 to 1 and samples of 3 a - b + 1: its descent has a closed form."""
    net = torch.nn.Linear(2, 1).double()
    with torch.no_grad():
        net.weight.zero_()
        net.bias.zero_()
    x = grid_points(5, 2).double()
    return net, x, 3 * x[:, :1] - x[:, 1:] + 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_descent_follows_its_formula(line, name):
    # on the grid the squared error is separable: d loss / d parameter = 2 m (parameter - wanted), m the mean square
    net, x, y = line
    rate, n_steps = 0.05, 30
    wanted, squares = [3.0, -1.0, 1.0], [2.0, 2.0, 1.0]
    values = []
    for goal, m in zip(wanted, squares, strict=True):
        p = v = first = second = 0.0
        for step in range(1, n_steps + 1):
            slope = 2 * m * (p - goal)
            v = slope + (0.9 * v if name == "momentum" else 0)
            first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
            scale = math.sqrt(second / (1 - 0.999**step)) + 1e-8
            p -= rate * (first / (1 - 0.9**step) / scale if name == "adam" else v)
        values.append(p)
    *_, last = descend(net, x, y, make_optimizer(name, net, lr=rate), max_steps=n_steps)
    assert [*net.weight[0].tolist(), net.bias.item()] == pytest.approx(values, rel=1e-9)
    loss = sum(m * (p - goal) ** 2 for p, goal, m in zip(values, wanted, squares, strict=True))
    assert (last.step, last.reached) == (n_steps, False) and last.loss == pytest.approx(loss, rel=1e-9)


def test_it_stops_at_the_first_step_at_or_below_the_target(line):
    net, x, y = line
    losses = [record.loss for record in descend(net, x, y, make_optimizer("sgd", net, lr=0.1), max_steps=60)]
    wanted = next(step for step, loss in enumerate(losses) if loss <= 0.01)
    with torch.no_grad():
        net.weight.zero_()
        net.bias.zero_()
    optimizer = make_optimizer("sgd", net, lr=0.1)
    records = [*descend(net, x, y, optimizer, max_steps=60, target_loss=0.01, every=7)]
    assert [record.step for record in records] == [*range(0, wanted, 7), wanted] and wanted % 7
    assert [record.reached for record in records] == [False] * (len(records) - 1) + [True]
    assert records[-1].loss == losses[wanted]


def test_a_descent_that_diverges_ends_there(line):
    net, x, y = line
    *_, last = descend(net, x, y, make_optimizer("momentum", net, lr=1e6), max_steps=1000)
    assert last.step < 1000 and not math.isfinite(last.loss) and not last.reached


def test_streams_of_two_networks_take_turns_and_do_not_touch_gradient_mode():
    x = grid_points(11)
    nets = [RadialNet((1, 4, 1), seed=seed) for seed in (0, 1)]
    alone = [[*descend(net, x, bells(x), make_optimizer("adam", net, lr=0.01), max_steps=5)] for net in nets]
    nets = [RadialNet((1, 4, 1), seed=seed) for seed in (0, 1)]
    streams = [descend(net, x, bells(x), make_optimizer("adam", net, lr=0.01), max_steps=5) for net in nets]
    with torch.no_grad():
        together = []
        for pair in zip(*streams, strict=True):
            together.append(pair)
            assert not torch.is_grad_enabled()
    assert [*zip(*together, strict=True)] == [tuple(records) for records in alone]


def test_grid_and_bells():
    points = grid_points(3, 2, half_width=1.5)
    assert points.tolist() == [[a, b] for a in (-1.5, 0, 1.5) for b in (-1.5, 0, 1.5)]
    assert grid_points(4).shape == (4, 1)
    assert bells(points)[5].tolist() == pytest.approx([1.0, math.exp(-2.25)])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"y": torch.zeros(4)}, "descend: y must be"),
        ({"y": torch.zeros(5, 1)}, "descend: y must be"),
        ({"x": torch.zeros(4, 3)}, "descend: net must take x"),
        ({"x": torch.zeros(0, 1), "y": torch.zeros(0, 1)}, "n at least 1"),
        ({"x": 1.0}, "descend: y must be"),
        ({"optimizer": "adam"}, "descend: optimizer must be one of torch's"),
        ({"optimizer": torch.optim.LBFGS(RadialNet((1, 1)).parameters())}, "that takes no closure, got LBFGS"),
        ({"max_steps": -1}, "descend: max_steps"),
        ({"every": 0}, "descend: every"),
        ({"target_loss": 0}, "descend: target_loss"),
    ],
)
def test_what_does_not_fit_is_one_error(options, message):
    net = RadialNet((1, 4, 1))
    given = {"x": torch.zeros(4, 1), "y": torch.zeros(4, 1), "optimizer": make_optimizer("sgd", net, lr=0.1)}
    given |= {"max_steps": 3} | options
    with pytest.raises(NbkitError, match=message):
        next(descend(net, given.pop("x"), given.pop("y"), given.pop("optimizer"), **given))


def test_an_optimizer_that_is_none_is_refused():
    with pytest.raises(NbkitError, match="make_optimizer: name must be one of 'sgd', 'momentum', 'adam'"):
        make_optimizer("rprop", RadialNet((1, 4, 1)), lr=0.1)
    with pytest.raises(NbkitError, match="make_optimizer: lr"):
        make_optimizer("sgd", RadialNet((1, 4, 1)), lr=0)


@pytest.mark.parametrize("net", [None, torch.zeros(2), torch.nn.ReLU(), RadialNet((1, 1)).requires_grad_(False)])
def test_there_must_be_something_to_train(net):
    with pytest.raises(NbkitError, match="make_optimizer: net must be a torch module with parameters to train"):
        make_optimizer("sgd", net, lr=0.1)
    adam = make_optimizer("adam", RadialNet((1, 1)), lr=0.1)
    with pytest.raises(NbkitError, match="descend: net must be a torch module with parameters to train"):
        next(descend(net, torch.zeros(4, 1), torch.zeros(4, 1), adam, max_steps=1))


@pytest.mark.parametrize(
    "arguments, options, rule",
    [
        ((0,), {}, "n must be an integer of at least 1"),
        ((2, 65), {}, "dim must be an integer between 1 and 64"),
        ((2, 10**400), {}, "dim must be an integer between 1 and 64"),
        ((2, 64), {}, "the result must fit into the memory budget"),
        ((2,), {"half_width": 0}, "half_width must be a finite number in"),
        ((2,), {"half_width": 1e39}, "half_width must be a finite number in"),
    ],
)
def test_grids_that_cannot_be_made_are_refused(arguments, options, rule):
    with pytest.raises(NbkitError, match=f"grid_points: {rule}"):
        grid_points(*arguments, **options)
