"""Claims of notebook 07 about wires, budgets and printed tables: what can be counted, pruned or added up anew."""

from functools import cache, partial

import torch
from torch import nn

from nbkit.claims import claim
from nbkit.compress import prune, train_pruned
from nbkit.data import mnist_split
from nbkit.device import one_thread
from nbkit.measure import jacobian_singular_values, reachability
from nbkit.nets import deep_net
from nbkit.runs.published import PUBLISHED
from nbkit.topology import Topology
from nbkit.training import train

__all__ = []

_claim = partial(claim, notebook="07", paper="SAO")


@_claim(
    place="conclusion",
    statement="SAO attains this using fewer computations than pruning: products of weights in its training, N = 10, d = 4, over "
    "those of GMP-S and of GMP-T, epoch by epoch",
    theirs="below 1, below 1",
    ours="1, 0.01",
    correction="GMP-S keeps as many weights and is trained as long, so it multiplies as much. GMP-T trains the dense network first.",
)
def fewer_computations() -> str:
    dense, pruned, sao = (_n_weights(net) for net in (_dense(), _pruned("GMP"), deep_net(10, "SAO")))
    return f"{sao / pruned:g}, {sao / (dense + pruned):.1g}"


def _n_weights(net: nn.Sequential) -> int:
    """Each is multiplied once a digit."""
    return sum(module.weight.numel() for module in net if hasattr(module, "weight"))


@_claim(
    place="section III-E",
    statement="epochs of a -S protocol over those of its -T protocol, counted while both run",
    theirs="1/2",
)
def epochs_of_protocols() -> str:
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    data = (torch.eye(4), torch.tensor([0, 1, 0, 1])) * 2
    lasts = [
        {r.phase: r.record.step for r in train_pruned(net, data, f"GMP-{when}", 0.5, steps=6, batch_size=4)}
        for when in "ST"
    ]
    once, twice = (sum(steps.values()) for steps in lasts)
    return f"1/{twice / once:g}"


@_claim(
    place="section I",
    statement="sparsified far enough entire layers are disconnected: of 10 outputs, those that any pixel reaches after GMP to "
    "SAO's budget, d = 4, N = 10",
    theirs="none (implied)",
)
def layer_collapse() -> str:
    layers = [module.layer for module in _pruned("GMP") if hasattr(module, "layer")]
    return {0: "none"}.get(n := int(reachability(Topology(layers)).any(dim=0).sum()), str(n)) + " (implied)"


@cache
def _dense() -> nn.Sequential:
    return deep_net(10, "Dense")


def _pruned(method: str) -> nn.Sequential:
    """The dense network, pruned to the weights that SAO has, the last layer apart."""
    kept, whole = (_n_weights(net[:-1]) for net in (deep_net(10, "SAO"), _dense()))
    return prune(_dense(), kept / whole, method)


@_claim(
    place="section V-C",
    statement="singular values of the input-output Jacobian of GMP approach 0: the largest at birth, before any step, N = 10",
    theirs="above 0 (implied)",
    ours="0",
    correction="Nothing approaches: where GMP keeps SAO's budget of an orthogonal network no pixel reaches an output. Every "
    "singular value is 0 from the beginning, and training makes no wires.",
)
def jacobian_at_birth() -> str:
    largest = jacobian_singular_values(_pruned("GMP"), mnist_split().padded(32).test_images[0]).max().item()
    return f"{largest:.2g}"


@_claim(
    place="section V-C",
    statement="the Ramanujan property is a prerequisite: irregular wires that train nevertheless (over half of the digits "
    "right after an epoch), N = 10, each layer's weights scaled to what SAO's have",
    theirs="none (implied)",
    ours="LMP, LRP",
    correction="LMP and LRP lose the scale of their weights, a factor in every layer, not the paths. With it they train, worse "
    "than SAO; as they are pruned they do not.",
)
def without_regular_wires() -> str:
    right = {
        (method, is_scaled): _after_an_epoch(method, is_scaled)
        for method in ("LMP", "LRP")
        for is_scaled in (False, True)
    }
    assert max(right["LMP", False], right["LRP", False]) < 0.15
    return ", ".join(method for method in ("LMP", "LRP") if right[method, True] > 0.5)


def _after_an_epoch(method: str, is_scaled: bool) -> float:
    net = _pruned(method)
    for module in net[:-1]:
        if is_scaled and hasattr(module, "layer"):
            with torch.no_grad():
                module.weight.mul_(1.1 * min(module.layer.shape) ** 0.5 / module.weight.norm())
    with one_thread():
        *_, last = train(
            net, mnist_split().padded(32), epochs=1, batch_size=128, learning_rate=1e-2, optimizer="sgd", every=100
        )
    return last.test_accuracy.item()


@_claim(
    place="section V-D, Table 9",
    statement="among N = 8, 16, 32 robustness to sparsity rises with depth: points lost to the dense network fall with N, at "
    "50, 75, 87.5, 96.875 %",
    theirs="yes, yes, yes, yes",
    ours="no, yes, yes, yes",
    correction="At 50 % the loss is 1.5, 0.9, 1.1 points. (Arithmetic on printed numbers; nothing is trained.)",
)
def robustness_rises_with_depth() -> str:
    told = []
    for density in PUBLISHED[9].densities[1:]:
        lost = [_printed(9, "Dense", 1.0, depth) - _printed(9, "SAO", density, depth) for depth in (8, 16, 32)]
        told.append("yes" if lost[0] > lost[1] > lost[2] else "no")
    return ", ".join(told)


def _printed(table: int, method: str, density: float, depth: int) -> float:
    return PUBLISHED[table].accuracy[method, density, depth]


@_claim(
    place="section V-D, Table 9",
    statement="at 96.875 % SAO-Delta is better at N = 128 than at N = 8, by the printed numbers",
    theirs="yes",
)
def deep_and_very_sparse() -> str:
    deep, shallow = (_printed(9, "SAO", 1 / 32, depth) for depth in (128, 8))
    return "yes" if deep > shallow else "no"


@_claim(
    place="section V-D, Table 11",
    statement="at lower sparsity pruning outperforms SAO: LMP-S and LMP-T at 50 %, N = 5, 10, 15, by the printed numbers",
    theirs="6 of 6 (implied)",
)
def pruning_at_low_sparsity() -> str:
    depths = PUBLISHED[11].depths
    ahead = [_printed(11, m, 0.5, n) > _printed(11, "SAO", 0.5, n) for m in ("LMP-S", "LMP-T") for n in depths]
    return f"{sum(ahead)} of {len(ahead)} (implied)"


@_claim(
    place="section V-E, Tables 9 and 11",
    statement="the dense network is the ceiling of SAO networks in most cases, by the printed numbers",
    theirs="most",
)
def dense_is_the_ceiling() -> str:
    below, cells = 0, 0
    for number, table in PUBLISHED.items():
        for (method, _, depth), value in table.accuracy.items():
            if method == "SAO":
                below, cells = below + (value < _printed(number, "Dense", 1.0, depth)), cells + 1
    return "most" if below > cells / 2 else f"{below} of {cells}"
