"""Claims of notebook 08 about radial activations and their networks (radial networks, sections 2 and 3)."""

from fractions import Fraction
from functools import partial

import numpy as np
import torch

from nbkit.claims import claim
from nbkit.nets import RADIAL_FUNCTIONS, RadialActivation, RadialNet, chain

__all__ = []

_claim = partial(claim, notebook="08", paper="radial networks")


@_claim(
    place="section 3, Fig. 1",
    statement="which activations commute with rotations of Rⁿ (here n = 1 to 8): the six radial ones; ReLU and tanh",
    theirs="all six; neither",
)
def what_commutes() -> str:
    generator = np.random.default_rng(0)
    radial = {name: RadialActivation(name) for name in RADIAL_FUNCTIONS}
    broken = set()
    for n in range(1, 9):
        v, turn = generator.standard_normal((50, n)), np.linalg.qr(generator.standard_normal((n, n)))[0]
        v, turn = torch.from_numpy(v), torch.from_numpy(turn)
        for name, activation in {**radial, "relu": torch.relu, "tanh": torch.tanh}.items():
            if (activation(v @ turn.T) - activation(v) @ turn.T).abs().max() > 1e-12:
                broken.add(name)
    return "all six; neither" if broken == {"relu", "tanh"} else f"all but {sorted(broken)}"


@_claim(
    place="Example 1",
    statement="length of the image of v = (3, 4): Step-ReLU, squashing, shifted ReLU of b = 1; Step-ReLU of a unit vector",
    theirs="5, 25/26, 4; 1",
)
def example_1() -> str:
    v = torch.tensor([3.0, 4.0], dtype=torch.float64)
    images = [RadialActivation(name)(v) for name in ("step_relu", "squash", "shifted_relu")]
    assert all((image / image.norm() - v / 5).abs().max() < 1e-12 for image in images)  # the direction stays
    lengths = [Fraction(float(image.norm())).limit_denominator(100) for image in images]
    unit = RadialActivation("step_relu")(torch.tensor([0.0, 1.0])).norm()
    return f"{', '.join(map(str, lengths))}; {float(unit):g}"


@_claim(
    place="equation (1.2)",
    statement="λ = h(r)/r, by which a vector of length r is multiplied, for r to 0 (implied: finite): squashing, sigmoid",
    theirs="finite",
    ours="0, infinite",
    correction="It is finite only if h(r)/r is bounded. With h(0) = 1/2 the radial sigmoid jumps at 0: next to the value 0 "
    "stand images of length 1/2 in every direction. Here value and gradient at 0 are set to 0.",
)
def factor_at_zero() -> str:
    told = []
    for name in ("squash", "sigmoid"):
        short = torch.tensor([[1e-12, 0.0]], dtype=torch.float64)
        factor = float(RadialActivation(name)(short).norm() / short.norm())
        told.append("infinite" if factor > 1e11 else f"{factor:.0f}")
    return ", ".join(told)


@_claim(place="Remark 2", statement="form of F where all biases are zero", theirs="W(μ(x) x)")
def zero_biases() -> str:
    generator = np.random.default_rng(0)
    for name in ("squash", "sigmoid", "shifted_relu"):
        weights = [generator.standard_normal(shape) for shape in ((7, 3), (5, 7), (4, 5))]
        x = generator.standard_normal((100, 3))
        outputs = RadialNet.of(weights, [None] * 3, name)(torch.from_numpy(x)).detach().numpy()
        images = x @ np.linalg.multi_dot(weights[::-1]).T
        factors = (outputs * images).sum(axis=1) / (images**2).sum(axis=1)
        assert np.abs(outputs - factors[:, None] * images).max() < 1e-12
    return "W(μ(x) x)"


@_claim(
    place="Remark 2",
    statement="how often F has that form if a bias is not zero",
    theirs="never",
    ours="sometimes",
    correction="In general it is not. But a bias in a direction that the next matrix drops only changes μ: for W₁ = (I; 0), "
    "b₁ = (0, ..., 0, 1), W₂ = (I, 0) the network is x ↦ λ(√(|x|² + 1)) x.",
)
def one_bias() -> str:
    up = np.eye(4, 3)
    net = RadialNet.of([up, up.T], [np.eye(4)[3], None], "squash")
    x = np.random.default_rng(0).standard_normal((100, 3))
    r = np.sqrt((x**2).sum(axis=1, keepdims=True) + 1)
    outputs = net(torch.from_numpy(x)).detach().numpy()
    return "sometimes" if np.abs(outputs - r / (r**2 + 1) * x).max() < 1e-12 else "never"


@_claim(
    place="section 2",
    statement="two networks with their matrices as blocks of one compute the sum of both: pointwise, radial",
    theirs="yes, no",
)
def sum_of_two() -> str:
    generator = np.random.default_rng(0)
    x = torch.from_numpy(generator.standard_normal((100, 2)))
    (first, last), (other, final) = ([generator.standard_normal(shape) for shape in ((5, 2), (1, 5))] for _ in range(2))
    told = []
    for build in (
        lambda weights: chain(weights, "tanh", output="linear"),
        lambda weights: RadialNet.of(weights, [None] * 2, "squash"),
    ):
        both = build([np.vstack([first, other]), np.hstack([last, final])])(x)
        told.append("yes" if (both - build([first, last])(x) - build([other, final])(x)).abs().max() < 1e-12 else "no")
    return ", ".join(told)
