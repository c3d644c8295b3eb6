"""What could be taken away from a network: dead units, small weights, low ranks, and the axes of a radial network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from nbkit.compress import qr_compress
from nbkit.errors import NbkitError
from nbkit.measure import singular_values
from nbkit.nets import RadialActivation
from nbkit.reporting.parts import Removable, Spectrum
from nbkit.reporting.subject import Subject
from nbkit.reporting.wiring import alive
from nbkit.topology.modules import Wired, effective_weight

__all__ = ["removable_rows"]

_SMALL = 1e-3


def removable_rows(
    subject: Subject, nodes: Sequence[Wired] | None, spectra: Sequence[Spectrum]
) -> Iterator[tuple[int, int] | tuple[Removable, ...]]:
    """Yields (layers done, layers in all), returns a Removable for each way to save."""
    rows = [] if nodes is None else [_dead_units(subject, nodes)]
    rows.append(_small_weights(subject))
    known = {spectrum.name: spectrum.singular_values for spectrum in spectra}
    saved, is_exact = 0, True
    for done, (name, module) in enumerate(subject.layers, start=1):
        gain, exact = _low_rank(module, known.get(name))
        saved, is_exact = saved + gain, is_exact and exact
        yield done, len(subject.layers)
    n = subject.n_parameters
    rows.append(Removable("layers of low rank", n, n - saved, is_exact, "two factors where they are smaller"))
    if any(isinstance(module, RadialActivation) for module in subject.net.modules()):
        rows += _radial(subject)
    return tuple(rows)


def _dead_units(subject: Subject, nodes: Sequence[Wired]) -> Removable:
    reached, heard = alive(nodes)
    folds = _constants_fold(nodes)
    saved: dict[nn.Module, int] = {}
    for position, node in enumerate(nodes):
        if node.step.kind != "linear":
            continue
        before = node.step.inputs[0]
        live_out = heard[position] & (reached[position] if folds else True)
        live_in = reached[before] if folds else torch.ones_like(reached[before])
        for layer in node.into[0][:-1]:
            live_in = torch.from_numpy(layer.to_scipy().T @ live_in.numpy().astype(int) > 0)
        removed = _n_removed(node.step.module, node.into[0][-1], live_in, live_out)
        saved[node.step.module] = min(removed, saved.get(node.step.module, removed))
    n = subject.n_parameters
    how = "constants move into the next biases" if folds else "only units that reach no output; constants stay"
    return Removable("dead units", n, n - sum(saved.values()), True, how)


def _constants_fold(nodes: Sequence[Wired]) -> bool:
    """Whether a unit that no input reaches can go: what it adds is the same everywhere, and there is a bias to take it."""
    linear = [node.step.module for node in nodes if node.step.kind == "linear"]
    return all(getattr(each, "bias", None) is not None and not _pads(each) for each in linear) and all(
        node.step.kind != "mixing" for node in nodes
    )


def _pads(module: nn.Module) -> bool:
    """Whether the edge of an image would see other constants."""
    padding = getattr(module, "padding", 0)
    return (
        padding != "circular"
        and padding != "valid"
        and any(torch.tensor(padding).flatten().tolist() if not isinstance(padding, str) else [1])
    )


def _n_removed(module: nn.Module, wires: object, live_in: torch.Tensor, live_out: torch.Tensor) -> int:
    stored = module.weight.numel()
    if hasattr(module, "edge_weights"):
        sources, targets = wires.edge_index()
        kept = int((live_in[sources] & live_out[targets]).sum())
    else:
        kept = stored * int(live_in.sum()) * int(live_out.sum()) // (wires.n_in * wires.n_out)
    n_biases = 0 if getattr(module, "bias", None) is None else int((~live_out).sum())
    return stored - kept + n_biases


def _small_weights(subject: Subject) -> Removable:
    saved, is_zero = 0, True
    for _, module in subject.layers:
        sizes = (module.edge_weights if hasattr(module, "edge_weights") else module.weight).detach().abs()
        small = sizes <= _SMALL * sizes.max() if sizes.numel() else sizes > 0
        saved += int(small.sum())
        is_zero = is_zero and not sizes[small].any()
    n = subject.n_parameters
    return Removable("small weights", n, n - saved, is_zero, f"at most {_SMALL:g} of the largest of their layer")


def _low_rank(module: nn.Module, known: torch.Tensor | None) -> tuple[int, bool]:
    """Parameters that two factors save, and whether nothing is lost but rounding."""
    if hasattr(module, "edge_weights"):
        return 0, True
    weight = effective_weight(module).flatten(1)
    groups = getattr(module, "groups", 1)
    if groups > 1 or min(weight.shape) < 2:
        return 0, True
    values = known if known is not None and module.weight.ndim == 2 else singular_values(weight).cpu()
    rank = int((values > _SMALL * values[0]).sum())
    saved = weight.numel() - rank * sum(weight.shape)
    rounding = torch.finfo(weight.dtype).eps * max(weight.shape) * values[0]
    return (saved, not (values[rank:] > rounding).any()) if saved > 0 else (0, True)


def _radial(subject: Subject) -> list[Removable]:
    try:
        found = qr_compress(subject.net)
    except NbkitError:  # other modules stand between: nothing of the kind can be said
        return []
    n = subject.n_parameters
    return [Removable("axes of radial layers", n, min(n, found.n_parameters), True, "nbkit.compress.qr_compress")]
