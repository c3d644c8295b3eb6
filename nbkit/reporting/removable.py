"""What could be taken away from a network: dead units, small weights, low ranks, and the axes of a radial network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nbkit.compress import qr_compress
from nbkit.errors import NbkitError
from nbkit.measure import singular_values
from nbkit.nets import RadialActivation
from nbkit.reporting.parts import Removable
from nbkit.reporting.subject import Subject
from nbkit.reporting.wiring import Alive, through
from nbkit.topology import Layer
from nbkit.topology.modules import Wired
from nbkit.topology.operations import JOINING, plain_name
from nbkit.topology.tracing import Step
from nbkit.topology.wires import effective_weight

__all__ = ["dead_units", "is_radial", "low_rank", "own_weights", "radial_axes", "small_weights"]

_SMALL = 1e-3
_UNEVEN = JOINING | {"pad", "avgpool1d", "avgpool2d", "avgpool3d"}  # as functions, whose options are not looked at


def dead_units(subject: Subject, nodes: Sequence[Wired], alive: Sequence[Alive], threshold: float) -> Removable:
    """Units that reach no output, and in a chain with biases those that no input reaches: they are constants.

    Inputs and outputs stay. In a network with branches, or where an edge of zeros stands around images, constants stay.

    Raises:
        NbkitError: a normalisation, by which a unit is heard that no wire leads on from; dead units, and layers that share
            their weights.
    """
    for node, each in zip(nodes, alive, strict=True):
        if node.step.kind == "mixing" and not each.heard.all():
            raise NbkitError(
                f"report: every unit must be heard through its wires alone, got {node.step.name} ({node.step.what}), which "
                f"joins all of them: the {int((~each.heard).sum())} units before it that no wire leads on from count."
            )
    folds = _constants_fold(nodes)
    last, ending = len(nodes) - 1, {len(nodes) - 1}
    while not any(nodes[last].into):  # an output stays, whatever elementwise steps stand behind it
        last = nodes[last].step.inputs[0]
        ending.add(last)
    live = [
        torch.ones_like(each.heard) if place in ending or not place else each.heard & (each.reached | (not folds))
        for place, each in enumerate(alive)
    ]
    if len(own_weights(subject)) < len(subject.layers) and not all(bool(each.all()) for each in live):
        raise NbkitError(
            "report: layers must have weights of their own, got some that share them: a unit that is dead in one may live in "
            "another. Give them copies."
        )
    used: dict[nn.Module, tuple[Layer, torch.Tensor, torch.Tensor]] = {}
    saved = 0
    for place, node in enumerate(nodes):
        module = node.step.module
        if node.step.kind == "linear":
            inside = live[node.step.inputs[0]]
            for layer in node.into[0][:-1]:
                inside = through(layer, inside)
            _, before, behind = used.get(module, (None, torch.zeros_like(inside), torch.zeros_like(live[place])))
            used[module] = node.into[0][-1], before | inside, behind | live[place]
        elif module is not None and node.width:
            owned = sum(each.numel() for each in module.parameters(recurse=False) if len(each) == node.width)
            saved += owned // node.width * int((~live[place]).sum())
    saved += sum(_n_removed(module, *found) for module, found in used.items())
    n = subject.n_parameters
    how = "constants move into the next biases" if folds else "units that reach no output; constants stay"
    return Removable("dead units", n, n - saved, threshold == 0, how)


def own_weights(subject: Subject) -> list[tuple[str, nn.Module]]:
    """The layers; of those that share their weights, transposed or not, the first."""
    found: dict[tuple[int, int], tuple[str, nn.Module]] = {}
    for name, module in subject.layers:
        place = module.weight.untyped_storage().data_ptr(), module.weight.storage_offset()
        found.setdefault(place if module.weight.numel() else (id(module), 0), (name, module))
    return list(found.values())


def small_weights(subject: Subject) -> Removable:
    """Weights of at most 1e-3 of the largest of their layer."""
    saved, is_zero = 0, True
    for _, module in own_weights(subject):
        sizes = module.weight.detach().abs()
        small = sizes <= _SMALL * sizes.max() if sizes.numel() else sizes > 0
        saved += int(small.sum())
        is_zero = is_zero and not sizes[small].any()
    n = subject.n_parameters
    return Removable("small weights", n, n - saved, is_zero, f"at most {_SMALL:g} of the largest of their layer")


def low_rank(module: nn.Module, known: torch.Tensor | None) -> tuple[int, bool]:
    """Parameters that two factors of a dense layer save, and whether nothing is lost but rounding.

    A kernel counts as the matrix (c_out, c_in * taps): a convolution to fewer channels, then one of single pixels.

    Args:
        known: the layer's singular values, where they have been computed.
    """
    groups = getattr(module, "groups", 1)
    if hasattr(module, "edge_weights") or groups > 1 or len(module.weight) < 2:
        return 0, True
    weight = effective_weight(module).flatten(1)
    values = known if known is not None and module.weight.ndim == 2 else singular_values(weight).cpu()
    rank = int((values > _SMALL * values[0]).sum())
    saved = weight.numel() - rank * sum(weight.shape)
    rounding = torch.finfo(weight.dtype).eps * max(weight.shape) * values[0]
    return (saved, not (values[rank:] > rounding).any()) if saved > 0 else (0, True)


def is_radial(subject: Subject) -> bool:
    """Whether there is a radial activation."""
    return any(isinstance(module, RadialActivation) for module in subject.net.modules())


def radial_axes(subject: Subject) -> Removable:
    """What Algorithm 1 makes of a radial network.

    Raises:
        NbkitError: other modules stand between.
    """
    n, found = subject.n_parameters, qr_compress(subject.net)
    return Removable("axes of radial layers", n, min(n, found.n_parameters), True, "nbkit.compress.qr_compress")


def _constants_fold(nodes: Sequence[Wired]) -> bool:
    """Whether a constant unit can go: what it adds is the same everywhere, and there is a bias to take it."""
    linear = [node.step.module for node in nodes if node.step.kind == "linear"]
    return (
        all(node.step.inputs == (place,) for place, node in enumerate(nodes[1:]))
        and not any(node.step.kind == "mixing" or _has_edges(node.step) for node in nodes)
        and all(getattr(each, "bias", None) is not None for each in linear)
    )


def _has_edges(step: Step) -> bool:
    """Whether a step makes pixels of a constant image unequal: by zeros around it, or by what it adds."""
    if plain_name(step.what) in _UNEVEN:
        return True
    padding = getattr(step.module, "padding", 0)
    if isinstance(padding, str):
        return padding in ("same", "zeros")
    return any(padding) if isinstance(padding, tuple) else bool(padding)


def _n_removed(module: nn.Module, wires: Layer, live_in: torch.Tensor, live_out: torch.Tensor) -> int:
    """Parameters of a layer that belong to dead units before or behind it."""
    n_stored = module.weight.numel()
    if hasattr(module, "edge_weights"):
        sources, targets = module.layer.edge_index()
        n_kept = int((live_in[sources] & live_out[targets]).sum())
    else:
        n_kept = n_stored * int(live_in.sum()) * int(live_out.sum()) // (wires.n_in * wires.n_out)
    n_biases = 0 if getattr(module, "bias", None) is None else int((~live_out).sum())
    return n_stored - n_kept + n_biases
