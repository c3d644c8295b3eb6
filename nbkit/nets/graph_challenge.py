"""Inference on the Graph Challenge's networks: RadiX-Nets of one constant weight, where a product is a sum over windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn.functional import pad

from nbkit.device import as_tensor, check_memory
from nbkit.errors import NbkitError, check_integer, check_number, show
from nbkit.topology import Topology, radix_net
from nbkit.topology.radix import place_values
from nbkit.topology.topology import check_topology

__all__ = [
    "CHALLENGE_BIASES",
    "Survivors",
    "challenge_inference",
    "challenge_inputs",
    "challenge_layers",
    "challenge_net",
]

#: The public challenge's bias for each number of neurons a layer.
CHALLENGE_BIASES = {1024: -0.30, 4096: -0.35, 16384: -0.40, 65536: -0.45}
_EDGES = 32  # at every neuron, in and out


@dataclass(frozen=True, eq=False)
class Survivors:
    """The inputs that still have an activation other than 0 behind a layer. All others are 0 from there on.

    Attributes:
        rows: int64 (n_survivors,), ascending, among the inputs.
        values: (n_survivors, n_out), their activations.
    """

    rows: torch.Tensor
    values: torch.Tensor


def challenge_net(n_neurons: int = 1024, n_layers: int = 120) -> Topology:
    """A RadiX-Net with 32 edges in and out of every neuron, of one of the public challenge's sizes.

    Whole systems are symmetric: every input reaches every output by equally many paths. The radices r and the dense
    width D are the same everywhere, r D = 32, with the smallest D for which n / D is a power of r: 1024 is (32, 32);
    4096 is (2,) * 8 with D = 16; 16384 is (8,) * 4 with D = 4; 65536 is (2,) * 12 with D = 16. The public files are
    wired otherwise at the larger sizes, and their neurons are permuted.

    Args:
        n_neurons: in every layer; a key of CHALLENGE_BIASES.
        n_layers: the last system ends where they end.

    Raises:
        NbkitError: another number of neurons, no layer.

    Source:
        Kepner, Alford, Gadepally, Jones, Milechin, Robinett & Samsi 2019, Sparse deep neural network graph challenge;
        Robinett & Kepner 2019 for the wires.

    Example:
        >>> challenge_net(16384)[1]
        <Layer 16384 -> 16384, 524288 edges, 4 x 4 blocks of (radix 8, place value 8)>
    """
    n_layers = check_integer("challenge_net", "n_layers", n_layers, at_least=1)
    n_neurons = check_integer("challenge_net", "n_neurons", n_neurons)
    if n_neurons not in CHALLENGE_BIASES:
        raise NbkitError(
            f"challenge_net: n_neurons must be one of {', '.join(map(str, CHALLENGE_BIASES))}, got {show(n_neurons)}. "
            "Use radix_net for other sizes."
        )
    for width in (1, 2, 4, 8, 16):
        radix, n = _EDGES // width, n_neurons // width
        length = round((n.bit_length() - 1) / (radix.bit_length() - 1))
        if radix**length == n:
            break
    n_systems = -(-n_layers // length)
    return radix_net([(radix,) * length] * n_systems, [width] * (n_systems * length + 1))[:n_layers]


def challenge_inputs(images: object, n_neurons: int = 1024) -> torch.Tensor:
    """Images of 28 x 28 pixels in the middle of 32 x 32, each pixel repeated to fill n_neurons, 1 where above 0.5.

    The public challenge interpolates instead, so that more of its pixels are set.

    Args:
        images: (n_images, 784), in [0, 1].
        n_neurons: 32 * 32 times a square.

    Returns:
        bool (n_images, n_neurons).

    Raises:
        NbkitError: images of another shape, or neurons that are no such number.
    """
    tensor = as_tensor("challenge_inputs", "images", images)
    if tensor.ndim != 2 or tensor.shape[1] != 28 * 28 or tensor.is_complex():
        raise NbkitError(
            f"challenge_inputs: images must be real, (n_images, 784), got {tuple(tensor.shape)}, {tensor.dtype}. Use mnist_split().test_images."
        )
    times = round((check_integer("challenge_inputs", "n_neurons", n_neurons, at_least=1024) / 1024) ** 0.5)
    if 1024 * times * times != n_neurons:
        raise NbkitError(
            f"challenge_inputs: n_neurons must be 1024 times a square, got {n_neurons}. Use 1024 or 16384."
        )
    squares = pad((tensor > 0.5).view(-1, 28, 28), (2, 2, 2, 2))
    return squares.repeat_interleave(times, 1).repeat_interleave(times, 2).flatten(1)


def challenge_inference(
    topology: Topology,
    inputs: object,
    *,
    weight: float = 1 / 16,
    bias: float = -0.3,
    clip: float = 32.0,
    batch: int | None = None,
) -> Survivors:
    """What survives the last layer of y -> min(relu(y W + bias), clip), W of one constant weight on the wires.

    The challenge adds the bias to entries other than 0 only; for a bias of at most 0 that is the same. Its categories
    are the rows that survive. Inputs that die out are dropped on the way, as in the challenge's own code.

    Args:
        topology: a RadiX-Net (dense widths included), such as `challenge_net()`.
        inputs: finite, (n_inputs, n_in); fastest as bool.
        weight: of every edge.
        bias: at most 0.
        clip: above 0; the largest activation.
        batch: inputs at once; default as many as have 2^20 activations a layer, which the processor's cache holds.

    Returns:
        Survivors, float32 (float64 for float64 inputs).

    Raises:
        NbkitError: other wires, inputs of another size, a positive bias, a clip of 0, or too little memory.
    """
    who = "challenge_inference"
    checked = _check(who, topology, inputs, weight, bias, clip)
    batch = check_integer(who, "batch", max(1, 2**20 // max(topology.sizes)) if batch is None else batch, at_least=1)
    n_bytes = 8 * len(checked) * topology.sizes[-1] + 16 * min(batch, len(checked)) * max(topology.sizes)
    check_memory(who, n_bytes, lower="the number of inputs, or batch")
    found = []
    for first in range(0, max(1, len(checked)), batch):
        for rows, h in _layers(topology, checked[first : first + batch], weight, bias, clip):
            if not len(rows):
                break
        found.append(_alive(rows + first, h))
    return Survivors(torch.cat([each.rows for each in found]), torch.cat([each.values for each in found]))


def challenge_layers(
    topology: Topology, inputs: object, *, weight: float = 1 / 16, bias: float = -0.3, clip: float = 32.0
) -> Iterator[Survivors]:
    """`challenge_inference` of all inputs at once, layer by layer: what survives behind each. Same arguments."""
    checked = _check("challenge_layers", topology, inputs, weight, bias, clip)
    for rows, h in _layers(topology, checked, weight, bias, clip):
        yield _alive(rows, h)


def _alive(rows: torch.Tensor, h: torch.Tensor) -> Survivors:
    alive = h.amax(1) > 0
    return Survivors(rows[alive], h[alive])


@torch.no_grad()
def _layers(
    topology: Topology, h: torch.Tensor, weight: float, bias: float, clip: float
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Inputs that may have survived, at least half of which have, and their activations behind each layer."""
    values = place_values(topology)
    rows, offset = (
        torch.arange(len(h), device=h.device),
        torch.tensor(bias, dtype=torch.promote_types(h.dtype, torch.float32), device=h.device),
    )
    for step, count, width_in, width_out in zip(values.steps, values.counts, values.widths, values.widths[1:]):
        n_out = values.n * width_out
        if len(rows):
            sums = _window_sums(h, values.n, step, count, width_in)
            sums = torch.add(offset, sums, alpha=weight, out=sums).clamp_(0, clip)
            alive = sums.amax(1) > 0
            if 2 * int(alive.sum()) < len(rows):  # copying most of them would cost more than carrying the dead along
                rows, sums = rows[alive], sums[alive]
            h = sums if sums.shape[1] == n_out else sums.repeat(1, n_out // sums.shape[1])
        elif h.shape[1] != n_out:
            h = h.new_empty(0, n_out)
        yield rows, h


def _window_sums(h: torch.Tensor, n: int, step: int, count: int, width: int) -> torch.Tensor:
    """Sums over j, j - step, ..., j - (count - 1) step mod n and all blocks, for j = 0..n - 1, or for one period of it.

    Windows grow by doubling, so an entry is rounded log2(count) times, and no running sum carries an error along. Bits
    are counted as bytes where the counts fit, a quarter of the memory to move.
    """
    if h.dtype == torch.uint8 and (width > 1 or count > 255 or step * count == n):
        h = h.float()
    if step * count == n:
        return h.view(len(h), width * count, step).sum(1)
    h = h if width == 1 else h.view(len(h), width, n).sum(1)
    sums = _slide(torch.cat([h[:, n - (count - 1) * step :], h], 1), step, count)
    return sums.float() if sums.dtype == torch.uint8 else sums


def _slide(h: torch.Tensor, step: int, count: int) -> torch.Tensor:
    """Sums over entries i, i + step, ..., i + (count - 1) step, for every i where all of these are there."""
    if count == 1:
        return h
    half, jump = _slide(h, step, count // 2), count // 2 * step
    sums = half[:, jump:] + half[:, :-jump]
    return sums[:, :-step] + h[:, 2 * jump :] if count % 2 else sums


def _check(who: str, topology: object, inputs: object, weight: object, bias: object, clip: object) -> torch.Tensor:
    values = place_values(check_topology(who, topology))
    if values is None or any(values.starts):
        raise NbkitError(f"{who}: topology must be a RadiX-Net, got other wires. Use challenge_net() or radix_net.")
    check_number(who, "weight", weight)
    check_number(who, "bias", bias, at_most=0.0)
    check_number(who, "clip", clip, above=0.0)
    tensor = as_tensor(who, "inputs", inputs)
    if tensor.is_complex():
        raise NbkitError(f"{who}: inputs must be real, got {tensor.dtype}. Use inputs.abs().")
    bits = tensor.dtype == torch.bool
    tensor = tensor.view(torch.uint8) if bits else tensor if tensor.dtype == torch.float64 else tensor.float()
    is_finite = bits or bool(tensor.sum().isfinite() or tensor.isfinite().all())  # the sum alone is far quicker
    if tensor.ndim != 2 or tensor.shape[1] != topology.sizes[0] or not is_finite:
        raise NbkitError(
            f"{who}: inputs must be finite, (n_inputs, {topology.sizes[0]}), got {tuple(tensor.shape)}. "
            "Use challenge_inputs for digits."
        )
    return tensor
