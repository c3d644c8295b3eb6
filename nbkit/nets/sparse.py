"""Linear layers that hold and multiply only the weights that are there, and chains of them."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from nbkit.device import as_tensor, check_memory
from nbkit.errors import NbkitError
from nbkit.nets.choose import choose_execution
from nbkit.nets.executions import Execution
from nbkit.topology import Layer
from nbkit.topology.layer import EdgeLayer
from nbkit.weights import random_on_edges

__all__ = ["SparseLinear", "SparseSequential", "dense_copy"]

# What acts on every number alone takes columns of features as well as rows, in any order.
_ELEMENTWISE = frozenset(
    {
        nn.Identity, nn.Tanh, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.SiLU, nn.GELU, nn.Mish,
        nn.Sigmoid, nn.LogSigmoid, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.Softplus, nn.Softsign, nn.Softshrink,
        nn.Hardshrink, nn.Tanhshrink, nn.Threshold,
    }
)  # fmt: skip

_HOOKS = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"


class SparseLinear(nn.Module):
    """x -> W x + b with weights on the wires of a layer and nowhere else.

    How it multiplies follows from the wires alone and is said by `execution` and `why`; every execution gives the same
    outputs and gradients to rounding. `weight` holds the weights in the order that suits the execution; a state_dict has
    them in the order of `layer.edge_index()`, with a checksum of the wires, so that it fits every execution of the same
    wires and no others. Derivatives backward and along dual numbers; for torch.func use `dense_copy`.

    Args:
        layer: the wires.
        bias: whether there is one, (n_out,), 0 at birth.
        weights: (n_out, n_in) and 0 off the wires, or (n_edges,) in the order of `layer.edge_index()`; default
            independent normal ones of variance 1 / in-degree.
        execution: "blocks", "windows", "csr" or "dense"; default what suits the wires.
        seed: of the default weights.

    Raises:
        NbkitError: no layer; weights of another shape, off the wires, NaN or infinite; wires that the execution cannot
            use, or beyond the memory budget.

    Example:
        >>> from nbkit.topology import biregular
        >>> SparseLinear(biregular(256, 256, 4))
        SparseLinear(256, 256, n_edges=1024, execution='blocks')
    """

    def __init__(
        self,
        layer: Layer,
        bias: bool = True,
        *,
        weights: object | None = None,
        execution: str | None = None,
        seed: int | np.random.Generator | None = 0,
    ) -> None:
        super().__init__()
        self._run = choose_execution(layer, execution)
        values = _on_edges(layer, weights, seed)
        self.weight = nn.Parameter(self._held(values))
        self.bias = nn.Parameter(values.new_zeros(layer.n_out)) if bias else None
        self.register_buffer("wires", torch.tensor(_checksum(layer)))

    @classmethod
    def from_dense(cls, weights: object, bias: object | None = None) -> SparseLinear:
        """The layer of a matrix (n_out, n_in), with a wire wherever it is not 0, and a bias (n_out,) or none.

        Raises:
            NbkitError: no finite matrix, a bias of another shape.
        """
        who = "SparseLinear.from_dense"
        matrix = _finite(who, "weights", weights)
        if matrix.ndim != 2 or not matrix.numel():
            raise NbkitError(f"{who}: weights must be (n_out, n_in), got shape {tuple(matrix.shape)}. Give a matrix.")
        sources, targets = matrix.T.cpu().numpy().nonzero()
        n_out, n_in = matrix.shape
        layer = EdgeLayer(n_in, n_out, sources, targets, description="the weights that are not 0")
        made = cls(layer, bias is not None, weights=matrix)
        if bias is not None:
            offsets = _finite(who, "bias", bias)
            if offsets.shape != (n_out,):
                raise NbkitError(f"{who}: bias must be ({n_out},), got {tuple(offsets.shape)}. One number an output.")
            made.bias.data.copy_(offsets)
        return made

    @property
    def layer(self) -> Layer:
        """The wires."""
        return self._run.layer

    @property
    def execution(self) -> str:
        """How it multiplies."""
        return self._run.name

    @property
    def why(self) -> str:
        """Why so, in a sentence."""
        return self._run.why

    @property
    def indices(self) -> list[torch.Tensor]:
        """The places of the weights that multiplying has needed so far: int64, no parameters."""
        return self._run.indices

    @property
    def edge_weights(self) -> torch.Tensor:
        """The weights in the order of `layer.edge_index()`, (n_edges,); differentiable."""
        return self.weight.flatten()[torch.from_numpy(self._run.edges_back).to(self.weight.device)]

    def to_dense(self) -> torch.Tensor:
        """The matrix (n_out, n_in); differentiable.

        Raises:
            NbkitError: it does not fit into the memory budget.
        """
        layer = self.layer
        check_memory("SparseLinear.to_dense", self.weight.element_size() * layer.n_in * layer.n_out, lower="the width")
        sources, targets = layer.edge_index().to(self.weight.device)
        return self.weight.new_zeros(layer.n_out, layer.n_in).index_put((targets, sources), self.edge_weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., n_in) -> (..., n_out).

        Raises:
            NbkitError: an x of another width, dtype or device than the weights.
        """
        columns = _Columns(x)
        columns.multiply(self)
        return columns.rows()

    def extra_repr(self) -> str:
        return f"{self.layer.n_in}, {self.layer.n_out}, n_edges={self.layer.n_edges}, execution={self.execution!r}"

    def _held(self, edge_weights: torch.Tensor) -> torch.Tensor:
        return edge_weights[torch.from_numpy(self._run.edges).to(edge_weights.device)].view(self._run.shape)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "weight"] = self.edge_weights if keep_vars else self.edge_weights.detach()

    def _load_from_state_dict(self, state: dict, prefix: str, *others: object) -> None:
        key, mark = prefix + "weight", prefix + "wires"
        if key in state and state[key].shape != (self.layer.n_edges,):
            found = f"weights of shape {tuple(state[key].shape)}"
        elif mark in state and int(state[mark]) != int(self.wires):
            found = "as many weights on other wires"
        else:
            held = {**state, key: self._held(state[key])} if key in state else state
            return super()._load_from_state_dict(held, prefix, *others)
        raise NbkitError(
            f"SparseLinear.load_state_dict: {key} must be of the same wires, {self.layer}, got {found}. "
            "Load it into a network with the wires that it was saved with."
        )


class SparseSequential(nn.Sequential):
    """nn.Sequential whose sparse layers hand on columns of features, in whatever order their executions leave them.

    Elementwise activations take them so, the next layer gathers them so: nothing is put back in order in between. Any
    other module (Dropout, LayerNorm, Flatten, ...), and any that has hooks, is given rows of features in their own order.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., n_in) -> (..., n_out).

        Raises:
            NbkitError: an x, or a layer's result, that the next SparseLinear does not take.
        """
        columns = None
        for module in _opened(self):
            is_plain = not _has_hooks(module)
            if is_plain and type(module) is SparseLinear:
                columns = columns or _Columns(x)
                columns.multiply(module)
            elif is_plain and columns and type(module) in _ELEMENTWISE:
                is_inplace = getattr(module, "inplace", False)  # which autograd forbids on a product's output
                columns.values = module(columns.values.clone() if is_inplace else columns.values)
            else:
                x, columns = module(columns.rows() if columns else x), None
        return columns.rows() if columns else x

    def dense(self) -> nn.Sequential:
        """An ordinary nn.Sequential of nn.Linear with the same function; its parameters are copies.

        Raises:
            NbkitError: its matrices do not fit into the memory budget.
        """
        return dense_copy(self)


def dense_copy(net: nn.Module) -> nn.Module:
    """A copy of a network in which every SparseLinear is an nn.Linear and every SparseSequential an nn.Sequential.

    Raises:
        NbkitError: the matrices do not fit into the memory budget.
    """
    sparse = [module for module in net.modules() if isinstance(module, SparseLinear)]
    n_bytes = sum(each.weight.element_size() * each.layer.n_in * each.layer.n_out for each in sparse)
    check_memory("dense_copy", n_bytes, lower="the width or the depth")
    return _densified(copy.deepcopy(net))


def _densified(module: nn.Module) -> nn.Module:
    if isinstance(module, SparseLinear):
        linear = nn.Linear(module.layer.n_in, module.layer.n_out, bias=module.bias is not None, device="meta")
        linear.weight = nn.Parameter(module.to_dense().detach(), requires_grad=module.weight.requires_grad)
        linear.bias = module.bias
        return linear.train(module.training)
    for name, child in module.named_children():
        setattr(module, name, _densified(child))
    if type(module) is SparseSequential:
        module.__class__ = nn.Sequential
    return module


class _Columns:
    """Points as columns of features, in the order that the execution before left them in."""

    def __init__(self, x: torch.Tensor) -> None:
        if not isinstance(x, torch.Tensor) or not x.ndim:
            raise NbkitError("SparseLinear: x must be a tensor (..., n_in), got a number or none. Use torch.tensor.")
        self.shape = x.shape[:-1]
        self.values = x.reshape(self.shape.numel(), x.shape[-1]).T.contiguous()
        self.before: Execution | None = None

    def multiply(self, module: SparseLinear) -> None:
        values, weight, layer = self.values, module.weight, module.layer
        if len(values) != layer.n_in or values.dtype != weight.dtype or values.device != weight.device:
            raise NbkitError(
                f"SparseLinear: x must be (..., {layer.n_in}), {weight.dtype} on {weight.device} as the weights are, got "
                f"(..., {len(values)}), {values.dtype} on {values.device}. Use x.to(weight) or another width."
            )
        self.values = module._run.multiply(values, weight, module.bias, self.before)
        self.before = module._run

    def rows(self) -> torch.Tensor:
        values = self.values if self.before is None else self.before.restored(self.values)
        return values.T.contiguous().view(*self.shape, len(values))


def _opened(net: nn.Module) -> Iterator[nn.Module]:
    for module in net:
        is_chain = type(module) in (nn.Sequential, SparseSequential) and not _has_hooks(module)
        yield from _opened(module) if is_chain else (module,)


def _has_hooks(module: nn.Module) -> bool:
    return any(getattr(module, hooks) for hooks in _HOOKS)


def _on_edges(layer: Layer, weights: object | None, seed: int | np.random.Generator | None) -> torch.Tensor:
    """The given or default weights of the wires, (n_edges,), of torch's default dtype."""
    who, dtype = "SparseLinear", torch.get_default_dtype()
    if weights is None:
        return random_on_edges(layer, seed=seed).to(dtype) if layer.n_edges else torch.zeros(0, dtype=dtype)
    given = _finite(who, "weights", weights)
    if given.shape == (layer.n_edges,):
        return given.to(dtype, copy=True)
    if given.shape != (layer.n_out, layer.n_in):
        raise NbkitError(
            f"{who}: weights must be (n_out, n_in) = ({layer.n_out}, {layer.n_in}) or (n_edges,) = ({layer.n_edges},), got "
            f"shape {tuple(given.shape)}. Matrices that act on vectors have a row for each output."
        )
    sources, targets = layer.edge_index().to(given.device)
    values = given[targets, sources]
    n_off = int(given.count_nonzero()) - int(values.count_nonzero())
    if n_off:
        off = given.clone()
        off[targets, sources] = 0
        target, source = off.nonzero()[0].tolist()
        raise NbkitError(
            f"{who}: weights must be 0 off the wires of {layer}, got {n_off} that are not, the first from input {source} "
            f"to output {target}. Multiply by layer.mask(), or use from_dense."
        )
    return values.to(dtype)


def _finite(who: str, name: str, given: object) -> torch.Tensor:
    values = as_tensor(who, name, given)
    if values.is_complex() or not values.isfinite().all():
        raise NbkitError(f"{who}: {name} must be finite real numbers, got NaN, infinite or complex ones. Check them.")
    return values


def _checksum(layer: Layer) -> int:
    return zlib.crc32(np.int64(layer.shape).tobytes() + layer.edge_index().numpy().tobytes())
