"""Linear layers that hold and multiply only the weights that are there, and chains of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from nbkit.device import as_tensor
from nbkit.errors import NbkitError
from nbkit.nets.executions import choose_execution
from nbkit.topology import Layer
from nbkit.topology.layer import EdgeLayer, check_layer
from nbkit.weights import random_on_mask

__all__ = ["SparseLinear", "SparseSequential"]

_ELEMENTWISE = (
    nn.Identity,
    nn.Tanh,
    nn.ReLU,
    nn.SiLU,
    nn.GELU,
    nn.ELU,
    nn.LeakyReLU,
    nn.Sigmoid,
    nn.Softplus,
    nn.Hardtanh,
)


class SparseLinear(nn.Module):
    """x -> W x + b with weights on the wires of a layer and nowhere else.

    How it multiplies follows from the wires and is said by `execution` and `why`. A state_dict has the weights in the
    order of `layer.edge_index()`, however they are held meanwhile, so a state of one machine fits another.

    Args:
        layer: the wires.
        bias: whether there is one, 0 at birth.
        weights: (n_out, n_in), of which those on the wires are taken; default independent normal ones of variance
            1 / in-degree.
        execution: "blocks" or "csr"; default what suits the wires.
        seed: of the default weights.
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
        self.layer = check_layer("SparseLinear", layer)
        self._run = choose_execution(layer, execution)
        matrix = random_on_mask(layer, seed=seed) if weights is None else as_tensor("SparseLinear", "weights", weights)
        sources, targets = layer.edge_index()
        self.weight = nn.Parameter(self._held(matrix.detach()[targets, sources].float()))
        self.bias = nn.Parameter(torch.zeros(layer.n_out)) if bias else None

    @classmethod
    def from_dense(cls, weights: object, bias: object | None = None) -> SparseLinear:
        """The layer of a matrix (n_out, n_in): a wire wherever it is not 0."""
        matrix = as_tensor("SparseLinear.from_dense", "weights", weights)
        targets, sources = np.nonzero(matrix.detach().cpu().numpy())
        layer = EdgeLayer(matrix.shape[1], matrix.shape[0], sources, targets, description="the weights that are not 0")
        made = cls(layer, bias is not None, weights=matrix)
        if bias is not None:
            made.bias.data.copy_(as_tensor("SparseLinear.from_dense", "bias", bias))
        return made

    @property
    def execution(self) -> str:
        """How it multiplies."""
        return self._run.name

    @property
    def why(self) -> str:
        """Why so, in a sentence."""
        return self._run.why

    @property
    def edge_weights(self) -> torch.Tensor:
        """The weights in the order of `layer.edge_index()`, (n_edges,); differentiable."""
        back = torch.from_numpy(np.argsort(self._run.edges)).to(self.weight.device)
        return self.weight.flatten()[back]

    def to_dense(self) -> torch.Tensor:
        """The matrix (n_out, n_in); differentiable."""
        sources, targets = self.layer.edge_index().to(self.weight.device)
        return self.weight.new_zeros(self.layer.n_out, self.layer.n_in).index_put((targets, sources), self.edge_weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., n_in) -> (..., n_out)."""
        return SparseSequential(self)(x)

    def extra_repr(self) -> str:
        return f"{self.layer.n_in}, {self.layer.n_out}, n_edges={self.layer.n_edges}, execution={self.execution!r}"

    def _held(self, edge_weights: torch.Tensor) -> torch.Tensor:
        return edge_weights[torch.from_numpy(self._run.edges)].view(self._run.shape)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "weight"] = self.edge_weights if keep_vars else self.edge_weights.detach()

    def _load_from_state_dict(self, state: dict, prefix: str, *others: object) -> None:
        key = prefix + "weight"
        if key in state and state[key].shape == (self.layer.n_edges,):
            state = {**state, key: self._held(state[key])}
        super()._load_from_state_dict(state, prefix, *others)


class SparseSequential(nn.Sequential):
    """nn.Sequential whose hidden units are columns of features, in whatever order its layers leave them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., n_in) -> (..., n_out)."""
        bound = self.__dict__.setdefault("_bound", {})
        h, order = x.reshape(-1, x.shape[-1]).T.contiguous(), None
        for place, module in enumerate(self):
            if isinstance(module, SparseLinear):
                run = module._run
                if place not in bound:
                    bound[place] = run.bind(order, x.device)
                h, order = run.multiply(h, module.weight, module.bias, bound[place]), run.outputs
            elif isinstance(module, _ELEMENTWISE):
                h = module(h)
            elif isinstance(module, nn.Linear) and order is None:
                h = torch.addmm(module.bias[:, None], module.weight, h)
            else:
                raise NbkitError(f"SparseSequential: no {type(module).__name__} here. Use elementwise activations.")
        if order is not None:
            h = h[torch.from_numpy(np.argsort(order)).to(x.device)]
        return h.T.reshape(*x.shape[:-1], -1)
