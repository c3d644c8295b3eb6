"""What could be taken away from a network: dead units, small weights, low ranks, and the axes of a radial network."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import torch
from torch import fx, nn

from nbkit.compress import qr_compress
from nbkit.errors import NbkitError
from nbkit.measure import singular_values
from nbkit.nets import RadialActivation
from nbkit.reporting.parts import Removable
from nbkit.reporting.subject import Subject
from nbkit.reporting.wiring import Alive, through
from nbkit.topology.modules import Wired
from nbkit.topology.operations import JOINING, KEEPING_ZERO, plain_name
from nbkit.topology.steps import TRANSPOSED, Step
from nbkit.topology.wires import effective_weight

__all__ = ["dead_units", "is_radial", "low_rank", "own_weights", "radial_axes", "small_weights"]

_SMALL = 1e-3
_UNEVEN = JOINING | {"pad", "avgpool1d", "avgpool2d", "avgpool3d"}  # as functions, whose options are not looked at
_COMPUTED = "; what weights are computed from stays"


def dead_units(subject: Subject, nodes: Sequence[Wired], alive: Sequence[Alive], threshold: float) -> Removable:
    """Units that reach no output, and in a chain with biases those that no input reaches: they are constants.

    Inputs and outputs stay. Constants stay where no bias can take them: in a network with branches, before an edge of
    zeros around images, where units are paired; and, unless they are 0, where a bias serves several layers, each of
    which would need another. So do the parameters from which weights are computed.

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
    needs_zero = folds and _shares_biases(nodes)
    stays = [~bits for bits in _zeros(nodes)] if needs_zero else [torch.tensor(not folds)] * len(nodes)
    ending, waiting = set(), [len(nodes) - 1]
    while waiting:  # an output stays, whatever elementwise steps and additions stand behind it
        ending.add(place := waiting.pop())
        if not any(nodes[place].into):
            waiting.extend(nodes[place].step.inputs)
    live = [
        torch.ones_like(each.heard) if place in ending or not place else each.heard & (each.reached | stays[place])
        for place, each in enumerate(alive)
    ]
    if _is_shared(subject) and not all(bool(each.all()) for each in live):
        raise NbkitError(
            "report: layers must have weights of their own, got some that share them: a unit that is dead in one may live in "
            "another. Give them copies."
        )
    used: dict[nn.Module, tuple[torch.Tensor, torch.Tensor]] = {}
    kept: dict[nn.Parameter, torch.Tensor] = {}  # of normalisations and the like: the units that any use needs
    for place, node in enumerate(nodes):
        module = node.step.module
        if node.step.kind == "linear":
            inside = live[node.step.inputs[0]]
            for layer in node.into[0][:-1]:
                inside = through(layer, inside)
            before, behind = used.get(module, (torch.zeros_like(inside), torch.zeros_like(live[place])))
            used[module] = before | inside, behind | live[place]
        elif module is not None and node.width:
            for values in module.parameters(recurse=False):
                if values.ndim and len(values) == node.width:
                    kept[values] = kept.get(values, torch.zeros_like(live[place])) | live[place]
    stored = {id(module) for _, module in _stored(subject)}
    saved = sum(_n_removed(module, *found, id(module) in stored) for module, found in used.items())
    saved += sum(values.numel() // len(bits) * int((~bits).sum()) for values, bits in kept.items())
    n = subject.n_parameters
    how = "constants move into the next biases" if folds else "units that reach no output; constants stay"
    how = "units that reach no output or are 0; other constants stay" if needs_zero else how
    how += _COMPUTED if len(stored) < len(subject.layers) else ""
    return Removable("dead units", n, n - saved, threshold == 0, how)


def own_weights(subject: Subject) -> list[tuple[str, nn.Module]]:
    """The layers with stored weights; of those that share them, transposed or not, the first.

    A name that several layers have is given as "": it tells none of them.
    """
    names = [name for name, _ in subject.layers]
    found: dict[tuple[int, int], tuple[str, nn.Module]] = {}
    for name, module in _stored(subject):
        found.setdefault(_place(module), (name if names.count(name) == 1 else "", module))
    return list(found.values())


def _stored(subject: Subject) -> list[tuple[str, nn.Module]]:
    """The layers whose weights are parameters of the module, not computed from others by its forward or parametrized."""
    named = subject.net.named_parameters()  # of a trace, which has copies for the functions that it calls, without them
    own = [values for name, values in named if not any(part.startswith("called_") for part in name.split("."))]
    if sum(values.numel() for values in own) > subject.n_parameters:  # a weight outgrew what it is computed from
        return []
    places = {values.untyped_storage().data_ptr() for values in own}
    held = [(each, each[1]._parameters.get("weight")) for each in subject.layers]  # as stored, before any mask
    return [each for each, weight in held if weight is not None and weight.untyped_storage().data_ptr() in places]


def _place(module: nn.Module) -> tuple[int, int]:
    """Where stored weights lie in memory: the same for layers that share them."""
    weight = module._parameters["weight"]
    return (weight.untyped_storage().data_ptr(), weight.storage_offset()) if weight.numel() else (id(module), 0)


def _is_shared(subject: Subject) -> bool:
    """Whether one parameter serves several layers, as it is or as what other weights are computed from."""
    stored = _stored(subject)
    places = {_place(module) for _, module in stored}
    if len(places) < len(stored):
        return True
    if len(stored) == len(subject.layers):
        return False
    followed = next(each for each in subject.bare.modules() if isinstance(each, fx.GraphModule))
    read = [node.target for node in followed.graph.nodes if node.op == "get_attr" and node.users]
    values = [attrgetter(target)(followed) for target in read]
    sources = {each.untyped_storage().data_ptr() for each in values if isinstance(each, torch.Tensor) and each.numel()}
    return any(storage in sources for storage, _ in places)


def small_weights(subject: Subject) -> Removable:
    """Weights of at most 1e-3 of the largest of their layer; those that are computed are left out."""
    saved, is_zero = 0, True
    for _, module in own_weights(subject):
        sizes = module.weight.detach().abs()
        small = sizes <= _SMALL * sizes.max() if sizes.numel() else sizes > 0
        saved += int(small.sum())
        is_zero = is_zero and not sizes[small].any()
    n = subject.n_parameters
    how = f"at most {_SMALL:g} of the largest of their layer"
    how += _COMPUTED if len(_stored(subject)) < len(subject.layers) else ""
    return Removable("small weights", n, n - saved, is_zero, how)


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
        and not any(node.step.kind in ("mixing", "pairs") or _has_edges(node.step) for node in nodes)
        and not any(_interleaves(node) for node in nodes)
        and all(getattr(each, "bias", None) is not None for each in linear)
    )


def _shares_biases(nodes: Sequence[Wired]) -> bool:
    """Whether one bias serves several layers, or one layer in several places."""
    places = [node.step.module.bias.data_ptr() for node in nodes if node.step.kind == "linear"]
    return len(set(places)) < len(places)


def _zeros(nodes: Sequence[Wired]) -> list[torch.Tensor]:
    """bool (width,) for each step of a chain: the units that are 0, as far as known, and stay so to the next layer."""
    found = [torch.zeros(nodes[0].width, dtype=torch.bool)]
    for node in nodes[1:]:
        some = ~found[-1]
        for layer in node.into[0]:
            some = through(layer, some)
        if node.step.kind == "linear":
            some = some | (node.step.module.bias != 0).cpu()
        elif plain_name(node.step.what) not in KEEPING_ZERO:
            some = torch.ones_like(some)
        found.append(~some)
    for place in range(len(nodes) - 1, 0, -1):
        if not any(nodes[place].into):
            found[place - 1] = found[place - 1] & found[place]
    return found


def _interleaves(node: Wired) -> bool:
    """Whether several units become pixels of one: what is constant in one of them is not in the image."""
    paths = [path[:-1] if node.step.kind == "linear" else path for path in node.into]
    return any(layer.n_in > layer.n_out for path in paths for layer in path)


def _has_edges(step: Step) -> bool:
    """Whether a step makes pixels of a constant image unequal: by zeros around it, by what it adds, by tap after tap."""
    module = step.module
    if plain_name(step.what) in _UNEVEN:
        return True
    if isinstance(module, TRANSPOSED) and any(n > 1 for n in (*module.kernel_size, *module.stride)):
        return True
    padding = getattr(module, "padding", 0)
    if isinstance(padding, str):
        return padding in ("same", "zeros")
    return any(padding) if isinstance(padding, tuple) else bool(padding)


def _n_removed(module: nn.Module, live_in: torch.Tensor, live_out: torch.Tensor, is_stored: bool) -> int:
    """Parameters of a layer that belong to dead units before or behind it; of computed weights only the biases."""
    n_biases = 0 if getattr(module, "bias", None) is None else int((~live_out).sum())
    if not is_stored:
        return n_biases
    n_stored = module.weight.numel()
    if hasattr(module, "edge_weights"):
        sources, targets = module.layer.edge_index()
        return n_stored - int((live_in[sources] & live_out[targets]).sum()) + n_biases
    groups = getattr(module, "groups", 1)
    inputs, outputs = live_in.view(groups, -1), live_out.view(groups, -1)  # only those of one group meet
    n_pairs = int((inputs.sum(dim=1) * outputs.sum(dim=1)).sum())
    return n_stored - n_stored * n_pairs * groups // (len(live_in) * len(live_out)) + n_biases
