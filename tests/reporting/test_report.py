"""The report as a whole: nothing twice, nothing changed, nothing silent, and its tables."""

import copy
import csv
import html
import io
import json
import math
import re
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import nbkit.reporting.lines
import nbkit.reporting.removable
import nbkit.reporting.spectra
import nbkit.reporting.whole
from nbkit.errors import NbkitError
from nbkit.nets import RadialNet, SkipNet
from nbkit.reporting import Report, report
from tests.reporting.networks import Deciding, Residual, mlp

MEASURES = (
    (nbkit.reporting.spectra, "singular_values", 3),
    (nbkit.reporting.removable, "singular_values", 0),  # spectra are shared
    (nbkit.reporting.spectra, "jacobian_singular_values", 2),
    (nbkit.reporting.lines, "growth_through", 1),
    (nbkit.reporting.whole, "alive", 1),
    (nbkit.reporting.whole, "reach_report", 1),
    (nbkit.reporting.whole, "wires_of", 3),
)


@pytest.fixture
def calls(monkeypatch):
    """How often each measure is called."""
    counts = dict.fromkeys(MEASURES, 0)

    def counted(measure):
        module, name, _ = measure
        original = getattr(module, name)

        def call(*args, **options):
            counts[measure] += 1
            return original(*args, **options)

        monkeypatch.setattr(module, name, call)

    for measure in MEASURES:
        counted(measure)
    return counts


def test_no_measure_is_computed_twice(calls):
    found = report(mlp(5, 8, 8, 3), torch.randn(2, 5))
    assert not any(calls.values())  # nor before it is asked for
    stepping = found.steps()
    for part, _, _ in stepping:
        if part == "spectra":
            break
    assert len(found.spectra) == 3  # whoever asks in between goes on with what has begun
    list(stepping)
    list(found.steps())
    for _ in range(2):
        found.to_dict(), found.to_csv(), repr(found), found._repr_html_(), found.not_covered
    assert {measure[:2]: count for measure, count in calls.items()} == {measure[:2]: measure[2] for measure in MEASURES}


def test_whoever_asks_while_a_thread_computes_waits_for_it(calls):
    found = report(mlp(5, 8, 8, 3), torch.randn(2, 5))
    threads = [threading.Thread(target=lambda: list(found.steps())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert found.not_covered == ()
    for thread in threads:
        thread.join()
    assert {measure[:2]: count for measure, count in calls.items()} == {measure[:2]: measure[2] for measure in MEASURES}


def test_what_was_interrupted_is_begun_anew(monkeypatch):
    found, original, stops = report(mlp(5, 8, 8, 3), torch.randn(2, 5)), nbkit.reporting.spectra.singular_values, [0]

    def interrupted(*args):
        stops[0] += 1
        if stops[0] == 2:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(nbkit.reporting.spectra, "singular_values", interrupted)
    with pytest.raises(KeyboardInterrupt):
        found.spectra
    assert len(found.spectra) == 3 and found.not_covered == ()


def test_steps_go_part_by_part_and_end_with_each():
    seen = list(report(mlp(5, 8, 8, 3), torch.randn(2, 5)).steps())
    assert [part for part, done, total in seen if done == total] == list(Report.PARTS)
    assert all(0 <= done <= total for _, done, total in seen)
    assert len([0 for part, _, _ in seen if part == "spectra"]) == 3 + 1  # a layer at a time
    assert len([0 for part, _, _ in seen if part == "jacobian"]) == 2 + 1  # a point at a time


def test_the_module_stays_as_it_is():
    net = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(5, 2))
    prune.l1_unstructured(net[0], "weight", 0.5)
    parametrizations.orthogonal(net[4])
    net[1].eval()
    net(torch.randn(3, 6)).sum().backward()
    before, modes = (
        copy.deepcopy({k: v.detach() for k, v in net.state_dict().items()}),
        [m.training for m in net.modules()],
    )
    gradients = [None if values.grad is None else values.grad.clone() for values in net.parameters()]
    list(report(net, torch.randn(3, 6)).steps())
    assert all(torch.equal(values, before[name]) for name, values in net.state_dict().items())
    assert modes == [module.training for module in net.modules()] and net[2].inplace
    assert all(values.requires_grad for values in net.parameters()) and net[0].weight.requires_grad
    for values, gradient in zip(net.parameters(), gradients, strict=True):
        assert gradient is None or torch.equal(values.grad, gradient)
    assert [len(module._forward_hooks) for module in net.modules()] == [0] * len(modes)


def test_it_is_the_network_after_training_that_is_measured():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.ReLU(), nn.Linear(5, 3)).double()
    net(torch.randn(20, 4).double())
    found, x = report(net, torch.randn(3, 4)), torch.randn(3, 4)
    jacobian = torch.autograd.functional.jacobian(lambda p: net.eval()(p[None])[0], found._subject.points[0])
    assert 10 ** found.jacobian[0].numpy() == pytest.approx(np.linalg.svd(jacobian.numpy(), compute_uv=False))
    assert x.shape == (3, 4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_precision_is_measured(dtype):
    net = mlp(4, 6, 2).to(dtype)
    found = report(net, torch.randn(2, 4))
    expected = np.linalg.svd(net[0].weight.detach().double().numpy(), compute_uv=False)
    assert found.spectra[0].singular_values.numpy() == pytest.approx(expected, rel=1e-6)
    assert found.jacobian.shape == (2, 2) and found.growth is not None and found.not_covered == ()


@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel], ids=["compiled", "parallel"])
def test_what_is_wrapped_around_a_module_is_looked_through(wrap):
    net, x = mlp(4, 6, 2), torch.randn(2, 4)
    found = report(wrap(net), x)
    assert [layer.name for layer in found.layers] == ["0", "2"] and found.not_covered == ()
    assert torch.equal(found.growth.lengths, report(net, x).growth.lengths)


def test_inference_mode_makes_no_difference():
    x = torch.randn(2, 4)
    with torch.inference_mode():
        net = mlp(4, 6, 2)
        inside = report(net, x.clone())
        lengths = inside.growth.lengths
    assert inside.not_covered == () and torch.equal(lengths, report(net, x).growth.lengths)


def test_weights_that_a_forward_reads_are_executed():
    class Standardised(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)

    found = report(nn.Sequential(Standardised(2, 3, 3), nn.ReLU()), torch.randn(1, 2, 5, 5))
    assert found.not_covered == () and [layer.kind for layer in found.layers] == ["Conv2d"]


def flat_images() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3))


@pytest.mark.parametrize(
    ("net", "shape", "n_points"),
    [
        (mlp(4, 3), (4,), 1),
        (mlp(4, 3), (1, 4), 1),
        (mlp(4, 3), (5, 4), 5),
        (flat_images(), (3, 4), 1),
        (flat_images(), (7, 3, 4), 7),
        (flat_images(), (1, 3, 4), 1),
        (nn.Conv2d(3, 3, 3, padding=1), (3, 5, 5), 1),
        (nn.Conv2d(3, 3, 3, padding=1), (2, 3, 5, 5), 2),
        (nn.Conv1d(3, 3, 3, padding=1), (3, 5), 1),
    ],
)
def test_one_example_or_a_batch(net, shape, n_points):
    found = report(net, np.random.default_rng(0).normal(size=shape))
    assert len(found.jacobian) == n_points and found.not_covered == ()


def test_residual_networks_are_covered_wholly():
    found = report(Residual(), torch.randn(3, 6))
    assert found.not_covered == () and found.topology is None
    assert found.reach is not None and found.jacobian is not None and found.growth is not None
    assert report(SkipNet((2, 4, 1), 8), torch.randn(3, 2)).not_covered == ()


def test_what_is_not_covered_is_named():
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.last = nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 2)
            self.attention, self.spare = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.norm(self.first(x))
            return self.last(h + self.attention(h, h, h)[0])

    found = report(Attending(), torch.randn(2, 5, 4))
    unclear = dict(found.not_covered)
    assert unclear["norm"].startswith("LayerNorm joins all features")
    assert unclear["spare"] == "it is not executed on the way from input to output"
    assert unclear["attention"] == "the wires of MultiheadAttention are not known"
    assert ("attention", "the weights of MultiheadAttention are in no layer") in found.not_covered
    assert "attention (MultiheadAttention)" in unclear["reach"]
    assert found.reach is None and found.topology is None
    assert [layer.name for layer in found.layers] == ["first", "last", "attention.out_proj"]
    assert found.jacobian.isfinite().any() and found.growth is not None and "not covered: norm" in repr(found)


def test_a_way_that_depends_on_the_data_costs_the_wires_between_layers_and_nothing_else():
    found = report(Deciding(), torch.randn(2, 4))
    assert [layer.name for layer in found.layers] == ["first", "last"] and len(found.spectra) == 2
    assert found.reach is None and found.jacobian.shape == (2, 2) and found.removable
    assert re.search("must not depend on its data, but torch.fx says: .*control flow", dict(found.not_covered)["reach"])


def test_normalisation_in_radial_networks_is_named():
    assert [name for name, _ in report(RadialNet((2, 4, 1), "squash"), torch.randn(2, 2)).not_covered] == ["1"]


def test_embeddings_leave_what_can_be_measured():
    found = report(nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 3)), torch.randint(0, 9, (2, 3)))
    assert len(found.spectra) == 1 and found.jacobian is None and found.growth is None
    assert {"0", "reach", "jacobian", "growth"} == {name for name, _ in found.not_covered}


def test_the_dictionary_is_json_and_finite():
    net = mlp(4, 6, 3)
    net[0].weight.data[:, 0] = 0
    net[2].weight.data[0] = 0
    found = report(net, torch.randn(2, 4))
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["n_parameters"] == 4 * 6 + 6 + 6 * 3 + 3 and told["topology_sizes"] == [4, 6, 3]
    assert told["reach"]["matrix"] == found.reach.matrix.tolist()
    assert told["jacobian"][0][-1] is None and found.jacobian[0, -1] == -math.inf
    assert told["spectra"][0]["singular_values"] == found.spectra[0].singular_values.tolist()
    assert set(told) >= {"name", "density", "layers", "growth", "removable", "not_covered"}


def test_the_csv_has_a_row_a_layer_and_its_file_is_whole(tmp_path):
    found = report(mlp(4, 6, 3), torch.randn(2, 4))
    path = tmp_path / "report.csv"
    text = found.to_csv()
    assert found.to_csv(str(path)) == path and path.read_text() == text and list(tmp_path.iterdir()) == [path]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["name"], row["n_in"], row["n_out"], row["density"]) for row in rows] == [
        ("0", "4", "6", "1"),
        ("2", "6", "3", "1"),
    ]
    assert float(rows[0]["largest_singular_value"]) == pytest.approx(
        float(found.spectra[0].singular_values[0]), rel=1e-5
    )
    with pytest.raises(NbkitError, match="to_csv: path must be a file that can be written"):
        found.to_csv(tmp_path)


def test_the_table_reads_as_text_and_as_html():
    found = report(mlp(4, 6, 3), torch.randn(2, 4))
    assert repr(found).startswith("Sequential: 51 parameters, density 1, 4 -> 6 -> 3\n\nname  kind")
    table = found._repr_html_()
    assert table.count("<tr>") == 3 and "4 -&gt; 6 -&gt; 3" in table


def headline(net: nn.Module, *shape: int, **options) -> str:
    found = report(net, torch.randn(2, *shape), **options)
    assert found._repr_html_().startswith(f"<p>{html.escape(repr(found).splitlines()[0])}</p>")
    return repr(found).splitlines()[0].partition("parameters, ")[2]


def test_of_kernels_the_headline_tells_the_weights_that_are_left_and_the_wires():
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1))
    net[2].weight.data.fill_(1)
    assert headline(net, 2, 6, 6) == "density 1, 2 -> 4 -> 4"
    net[0].weight.data.zero_()[:, :, 1, 1] = 1
    assert headline(net, 2, 6, 6) == (
        "24 of 88 weights are not 0; 100.0% of the pairs of channels are wired, 2 -> 4 -> 4"
    )
    net[0].weight.data[:, 0] = 0
    told = headline(net, 2, 6, 6, threshold=0.5)
    assert told == "20 of 88 weights are above 0.5; 83.3% of the pairs of channels are wired, 2 -> 4 -> 4"
    mixed = nn.Sequential(*net, nn.Flatten(), nn.Linear(64, 2))
    assert "of the pairs of channels or units are wired" in headline(mixed, 2, 6, 6)
    pointwise = nn.Sequential(nn.Conv2d(2, 4, 1))
    pointwise[0].weight.data[0] = 0
    assert headline(pointwise, 2, 6, 6) == "density 0.75, 2 -> 4"


def test_reach_tells_in_its_own_line_what_it_leaves_out():
    net = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 6), nn.LayerNorm(6), nn.Softmax(1))
    found = report(net, torch.randn(2, 4))
    assert found.reach.left_out == ("LayerNorm", "Softmax") == tuple(found.to_dict()["reach"]["left_out"])
    assert "\nreach (left out: LayerNorm, Softmax, joining all features): 100.0% of" in repr(found)
    assert "\nreach: 100.0% of" in repr(report(mlp(4, 6, 3), torch.randn(2, 4)))


def nan_net() -> nn.Linear:
    linear = nn.Linear(2, 2)
    linear.weight.data[0, 0] = torch.nan
    return linear


REFUSED = {
    "no module": (lambda: "net", torch.ones(2), "module must be a torch module, got str"),
    "nothing to measure": (
        lambda: nn.Sequential(nn.ReLU(), nn.Flatten()),
        torch.ones(2),
        "got none, only Flatten, ReLU",
    ),
    "empty": (nn.Sequential, torch.ones(2), "got none, only Sequential"),
    "recurrent": (lambda: nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2)), torch.ones(2), "got the recurrent LSTM 1"),
    "nan": (nan_net, torch.ones(2), "weights must be finite, got NaN or infinite ones in weight"),
    "lazy": (lambda: nn.LazyLinear(2), torch.ones(2), "weights must be there, got none yet in weight"),
    "meta": (lambda: nn.Linear(2, 2, device="meta"), torch.ones(2), "weights must be there, got none yet in weight"),
    "wrong width": (lambda: mlp(4, 3), torch.ones(2, 5), r"got shape \(2, 5\), of which it says: .*2x5"),
    "wrong image": (lambda: nn.Conv2d(3, 3, 3), torch.ones(1, 8, 8), r"got shape \(1, 8, 8\)"),
    "nan example": (lambda: mlp(4, 3), [1.0, math.nan, 0, 0], "finite real numbers, got .* NaN or infinite"),
    "no example": (lambda: mlp(4, 3), torch.ones(0, 4), "x must be one example or a batch"),
    "no numbers": (lambda: mlp(4, 3), "x", "x must be an array of numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_reported_on_is_refused_in_words(name):
    make, x, message = REFUSED[name]
    with pytest.raises(NbkitError, match=re.compile("^report: .*" + message, re.DOTALL)):
        report(make(), x)


def test_several_results_and_what_cannot_be_copied_are_refused():
    class Giving(Residual):
        def forward(self, x: torch.Tensor) -> object:
            return self.give(super().forward(x))

    for give, told in (
        (lambda out: (out, out), "got tuple. Wrap it in a module whose forward returns model(x)[0]."),
        (lambda out: [3, out], "got list. Wrap it in a module whose forward returns model(x)[1]."),
        (lambda out: {"logits": out}, "got dict. Wrap it in a module whose forward returns model(x)['logits']."),
        (lambda out: None, "got NoneType. Wrap it in a module whose forward returns one tensor."),
    ):
        net = Giving()
        net.give = give
        with pytest.raises(NbkitError, match=f"^report: module must return one tensor, {re.escape(told)}$"):
            report(net, torch.ones(6))
    net = mlp(4, 3)
    net.source = (number for number in range(3))
    with pytest.raises(NbkitError, match="module must be one that copy.deepcopy copies, got Sequential: .*generator"):
        report(net, torch.ones(4))


@pytest.mark.parametrize(
    ("options", "message"), [({"threshold": -1}, "threshold must be"), ({"seed": "a"}, "seed must be")]
)
def test_wrong_options_are_refused_at_once(options, message):
    with pytest.raises(NbkitError, match=f"^report: {message}"):
        report(mlp(4, 3), torch.ones(4), **options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
def test_a_network_on_the_gpu_is_measured_there():
    net, x = mlp(6, 8, 3), torch.randn(3, 6)
    here, there = report(net, x), report(copy.deepcopy(net).cuda(), x)
    assert there.not_covered == () and torch.allclose(here.jacobian, there.jacobian)
    assert torch.allclose(here.growth.lengths, there.growth.lengths)
    assert torch.equal(here.reach.matrix, there.reach.matrix)
    for one, other in zip(here.spectra, there.spectra, strict=True):
        assert torch.allclose(one.singular_values, other.singular_values)
