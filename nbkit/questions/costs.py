"""Measures of cost: what QR takes away from radial networks on sparse wires, and wires, parameters and operations in one account."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
import torch

from nbkit.compress import qr_compress, reduced_widths
from nbkit.nets import RadialNet, n_radial_parameters
from nbkit.questions.configuration import DECAYED, RADIAL, Configuration, admissible
from nbkit.questions.measured import Measured, prepared
from nbkit.topology import Topology, random_pruned

__all__ = ["ROTATED", "Cost", "costs", "funnel", "measure_budget", "measure_compression", "n_after_qr"]

ROTATED = {"radial": RADIAL, "linear": "identity"}
"""Activations of the lab that commute with rotations, so that QR takes something away, and the radial functions they are."""

_NOTHING = 1e-12  # of the largest entry of a matrix: below it is rounding
_N_POINTS = 64


def funnel(configuration: Configuration) -> Topology:
    """The wires that costs are told of: width / 4 inputs, layers of the configuration, width / 16 outputs; 3 matrices or more.

    Where all widths are equal QR has nothing to take away. The first and the last layer are random wires of the density
    of those between them.
    """
    own = _deep(configuration)
    inside = own.topology[: own.depth - 2]
    ends = [np.zeros((own.width, own.width // 4)), np.zeros((own.width // 16, own.width))]
    first, last = random_pruned(ends, max(inside.density, 1e-9), seed=own.seed)
    return Topology([first, *inside, last])


def n_after_qr(widths: tuple[int, ...]) -> int:
    """Numbers that are not 0 after QR compression of weights in general position, biases among them.

    [b_i W_i] of a hidden layer is the factor R of QR: a triangle, where the layer has one node more than the one before
    it. The paper counts its zeros too, as `n_radial_parameters(reduced_widths(widths))` does.

    Args:
        widths: of the network that is compressed.
    """
    *hidden, last = zip(reduced := reduced_widths(widths), reduced[1:], strict=False)
    return (last[0] + 1) * last[1] + sum(n_in + 1 - row for n_in, n_out in hidden for row in range(n_out))


def measure_compression(configuration: Configuration) -> Iterator[Measured]:
    """Parameters after QR over those before, against the density of the wires; above 1 it costs more than it saves.

    The network is that of `funnel`. Parameters are numbers that are not 0, biases among them. Theory counts the triangles
    that QR leaves of weights in general position. ReLU and tanh do not commute with rotations: there nothing is taken away.

    Numbers, at this configuration's own `density`: `before`, `after`, `after_all` with the zeros that the paper counts,
    `ratio` of after and before, `gap` the largest difference of the two functions over the largest value; and
    `break_even`, `break_even_all`: the density below which sparse wires are smaller than either (0 where nothing is taken
    away).
    """
    own, is_rotated = _deep(configuration), configuration.activation in ROTATED
    for frame in prepared("compression", own, np.array([own.degree / own.width])):
        yield (frame := replace(frame, configuration=configuration))
    each = [own]
    if own.wires not in ("dense", DECAYED):
        settings = {field.name: getattr(own, field.name) for field in fields(own)}
        each = [replace(own, degree=degree) for degree in admissible(**settings)["degree"]]
    for one in each:
        for _ in one.prepare():
            yield frame
    wires = [funnel(one) for one in each]
    x, sizes = np.array([one.density for one in wires]), wires[0].sizes
    n_nodes, n_dense = sum(sizes[1:]), n_radial_parameters(sizes)
    n_after, n_after_all = n_after_qr(sizes), n_radial_parameters(reduced_widths(sizes))
    theory = n_after / (n_nodes + (n_dense - n_nodes) * x) if is_rotated else np.ones(len(x))
    y, numbers = np.full(len(x), np.nan), {}
    for place, (one, layers) in enumerate(zip(each, wires, strict=True)):
        before, after, gap = _compressed(one, layers)
        y[place] = after / before
        if one == own:
            numbers = {"before": before, "after": after, "ratio": after / before, "gap": gap, "density": x[place]}
            numbers["after_all"] = n_after_all if is_rotated else before
            numbers["break_even"] = (n_after - n_nodes) / (n_dense - n_nodes) if is_rotated else 0
            numbers["break_even_all"] = (n_after_all - n_nodes) / (n_dense - n_nodes) if is_rotated else 0
        told, done = {name: float(value) for name, value in numbers.items()}, (place + 1, len(each), "densities")
        yield Measured("compression", configuration, x, y.copy(), theory=theory, numbers=told, progress=done)


def measure_budget(configuration: Configuration) -> Iterator[Measured]:
    """Parameters of each layer of the network of `funnel`; theory is the dense one.

    Numbers: those of `Cost` for the three networks of `costs`: `edges`, `parameters`, `flops`, the same with `dense_` and
    with `qr_` before them; and `density`.
    """
    own = _deep(configuration)
    for frame in prepared("budget", own, layers := np.arange(1.0, own.depth + 1)):
        yield replace(frame, configuration=configuration)
    wires, found = funnel(own), costs(own)
    dense = np.array([(layer.n_in + 1) * layer.n_out for layer in wires], dtype=float)
    sparse = np.array([layer.n_edges + layer.n_out for layer in wires], dtype=float)
    numbers = {"density": wires.density} | asdict(found["sparse"])
    for name in ("dense", "qr"):
        numbers |= {f"{name}_{unit}": value for unit, value in asdict(found[name]).items()}
    told = {name: float(value) for name, value in numbers.items()}
    yield Measured("budget", configuration, layers, sparse, theory=dense, numbers=told)


@dataclass(frozen=True)
class Cost:
    """What a network needs.

    Attributes:
        edges: weights that are not 0.
        parameters: edges and one bias a node.
        flops: multiplications and additions for one input, 2 a wire: a node with d wires and a bias takes d of each.
    """

    edges: int
    parameters: int
    flops: int


def costs(configuration: Configuration) -> dict[str, Cost]:
    """The costs of the network of `funnel`: "dense", "sparse" on the configuration's wires, and "qr".

    "qr" is a dense radial network of these widths, compressed. Its edges and parameters are numbers that are not 0; its
    operations are those of dense matrices, zeros and all.
    """
    wires = funnel(configuration)
    n_nodes, n_dense = sum(wires.sizes[1:]), n_radial_parameters(wires.sizes)
    *hidden, _ = reduced = reduced_widths(wires.sizes)
    n_weights = n_radial_parameters(reduced) - sum(reduced[1:])
    n_after = n_after_qr(wires.sizes)
    n_biases = reduced[-1] + len(hidden) - 1  # of a triangular [b W] only the first bias is not 0
    return {
        "dense": Cost(n_dense - n_nodes, n_dense, 2 * (n_dense - n_nodes)),
        "sparse": Cost(wires.n_edges, wires.n_edges + n_nodes, 2 * wires.n_edges),
        "qr": Cost(n_after - n_biases, n_after, 2 * n_weights),
    }


def _deep(configuration: Configuration) -> Configuration:
    return configuration if configuration.depth >= 3 else replace(configuration, depth=3)


def _compressed(configuration: Configuration, wires: Topology) -> tuple[int, int, float]:
    """Parameters that are not 0 before and after QR, and the gap between the two functions; the same if not `ROTATED`."""
    draw = np.random.default_rng(configuration.seed)
    inside = configuration.matrices[: len(wires) - 2]
    first, last = (draw.standard_normal(layer.shape[::-1]) * layer.mask().numpy() for layer in (wires[0], wires[-1]))
    matrices = [first, *inside, last]
    net = RadialNet.of(
        matrices,
        [draw.standard_normal(len(matrix)) for matrix in matrices],
        ROTATED.get(configuration.activation, RADIAL),
    )
    before = _not_zero(net)
    if configuration.activation not in ROTATED:
        return before, before, 0.0
    small = qr_compress(net).net
    points = torch.from_numpy(draw.standard_normal((_N_POINTS, wires.sizes[0])))
    with torch.no_grad():
        images = net(points)
        gap = float((images - small(points)).abs().max() / images.abs().max())
    return before, _not_zero(small), gap


def _not_zero(net: RadialNet) -> int:
    """Numbers of every layer that are not 0 beside its largest."""
    layers = [torch.column_stack([linear.bias, linear.weight]).detach().abs() for linear in net.linears]
    return sum(int((values > _NOTHING * values.max()).sum()) for values in layers)
