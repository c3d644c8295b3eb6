"""Networks to report on."""

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["Deciding", "Residual", "mlp", "sparse_mlp"]


def mlp(*widths: int) -> nn.Sequential:
    torch.manual_seed(0)
    modules = [module for pair in zip(widths, widths[1:]) for module in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*modules[:-1])


def sparse_mlp(*widths: int, density: float = 0.15) -> nn.Sequential:
    """With so few weights that some units are dead."""
    net = mlp(*widths)
    for module in net[::2]:
        module.weight.data *= torch.rand_like(module.weight) < density
    return net


class Residual(nn.Module):
    """6 -> 8, then h + f(h) with f: 8 -> 5 -> 8, then the input beside it, 14 -> 4; most weights are zero."""

    def __init__(self, density: float = 0.15) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.down = nn.Linear(6, 8), nn.Linear(8, 5)
        self.up, self.last = nn.Linear(5, 8), nn.Linear(14, 4)
        for module in self.children():
            module.weight.data *= torch.rand_like(module.weight) < density

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu(self.first(x))
        h = h + self.up(torch.relu(self.down(h)))
        return self.last(torch.cat([h, x], dim=1))


class Deciding(nn.Module):
    """Its way depends on its data."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.last = nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.act(self.first(x))
        return self.last(h if h.sum() > -1 else -h)
