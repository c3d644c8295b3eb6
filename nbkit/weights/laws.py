"""Laws that a random network's weights follow: even, centred, matched by their standard deviation (Price & Tanner 2019)."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
import torch

from nbkit.device import as_array, check_memory, random_generator
from nbkit.errors import NbkitError, check_choice, check_integer, check_integers, check_number, show

__all__ = ["Discrete", "Gaussian", "Law", "Uniform", "check_law"]

_FAR = 1e-70


class Law(ABC):
    """An even law of one weight, `P` of the paper's mixture alpha P + (1 - alpha) delta_0.

    Attributes:
        name: in a few words.
        std: standard deviation, sigma_w before any division by the root of a width.
        kurtosis: E w^4 / (E w^2)^2.
        M: Theorem 2's constant, E|u.w| >= M ||u|| for every vector u and w of independent weights.
        density: the probability that a weight is not 0; below 1 where 0 is one of a discrete law's values.
        noise: what it is made from, "normal" or "uniform"; laws of one noise share their random numbers.

    Source:
        Price & Tanner 2019, Definitions 1 to 4, Theorem 2 and Corollaries 1 to 3.
    """

    noise = "uniform"
    density = 1.0

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    @abstractmethod
    def std(self) -> float: ...

    @property
    @abstractmethod
    def kurtosis(self) -> float: ...

    @property
    @abstractmethod
    def M(self) -> float: ...

    @abstractmethod
    def from_noise(self, noise: torch.Tensor, *, out: torch.Tensor | None = None) -> torch.Tensor:
        """Weights of this law, from standard normal numbers or numbers uniform in [0, 1), entry by entry."""

    @abstractmethod
    def scaled(self, factor: float) -> "Law":
        """The law of `factor` times a weight.

        Raises:
            NbkitError: a factor that is not finite or not above 0.
        """

    def sample(self, shape: int | tuple[int, ...], *, seed: int | np.random.Generator | None = 0) -> torch.Tensor:
        """Independent weights.

        Args:
            shape: of the result.
            seed: an int repeats, None is fresh, a Generator advances.

        Returns:
            float64 tensor.

        Raises:
            NbkitError: a shape that is none, or more numbers than fit into memory.
        """
        who = f"{type(self).__name__}.sample"
        shape = (shape,) if isinstance(shape, (int, np.integer)) else shape
        shape = check_integers(who, "shape", shape, at_least=0, minimum_length=0)
        check_memory(who, 16 * math.prod(shape), lower="the shape")
        generator = random_generator(seed, who=who)
        draw = generator.standard_normal if self.noise == "normal" else generator.random
        return self.from_noise(torch.from_numpy(np.asarray(draw(shape))))


@dataclass(frozen=True)
class Gaussian(Law):
    """N(0, std^2).

    Raises:
        NbkitError: a std that is not a finite number above 0.
    """

    std: float = 1.0
    noise = "normal"
    kurtosis = 3.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "std", check_number("Gaussian", "std", self.std, above=0))

    @classmethod
    def of_std(cls, std: float) -> "Gaussian":
        """The law with this standard deviation."""
        return cls(std)

    @property
    def name(self) -> str:
        return f"Gaussian, std {self.std:.3g}"

    @property
    def M(self) -> float:
        """std sqrt(2 / pi), with equality for every u."""
        return self.std * math.sqrt(2 / math.pi)

    def from_noise(self, noise: torch.Tensor, *, out: torch.Tensor | None = None) -> torch.Tensor:
        return torch.mul(noise, self.std, out=out)

    def scaled(self, factor: float) -> "Gaussian":
        return Gaussian(self.std * _check_factor("Gaussian", factor))


@dataclass(frozen=True)
class Uniform(Law):
    """Uniform on [-limit, limit], of standard deviation limit / sqrt(3).

    Raises:
        NbkitError: a limit that is not a finite number above 0.
    """

    limit: float = 1.0
    kurtosis = 9 / 5

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit", check_number("Uniform", "limit", self.limit, above=0))

    @classmethod
    def of_std(cls, std: float) -> "Uniform":
        """The law with this standard deviation: limit = sqrt(3) std."""
        return cls(math.sqrt(3) * check_number("Uniform.of_std", "std", std, above=0))

    @property
    def name(self) -> str:
        return f"uniform on ±{self.limit:.3g}"

    @property
    def std(self) -> float:
        return self.limit / math.sqrt(3)

    @property
    def M(self) -> float:
        """limit / (2 sqrt 2), Lemma 10; the best constant is limit sqrt(2 / (3 pi)), 30 % above."""
        return self.limit / (2 * math.sqrt(2))

    def from_noise(self, noise: torch.Tensor, *, out: torch.Tensor | None = None) -> torch.Tensor:
        return torch.mul(noise, 2 * self.limit, out=out).sub_(self.limit)

    def scaled(self, factor: float) -> "Uniform":
        return Uniform(self.limit * _check_factor("Uniform", factor))


@dataclass(frozen=True)
class Discrete(Law):
    """Uniform on a finite symmetric set: the integers {-limit..limit}, 0 among them, or any values such as (-1, 1).

    A set that holds 0 makes the true density of a network smaller: alpha times `density`.

    Args:
        limit_or_values: an integer of at least 1, or the values themselves.
        scale: every value is multiplied by it.

    Raises:
        NbkitError: a limit below 1; values that are empty, not finite, only 0, or not symmetric about 0.
    """

    limit_or_values: int | tuple[float, ...] = 1
    scale: float = 1.0
    values: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = self.limit_or_values
        if isinstance(given, (int, np.integer)) or (isinstance(given, float) and not given.is_integer()):
            limit = check_integer("Discrete", "limit", given, at_least=1, at_most=2**15)
            values = tuple(range(-limit, limit + 1))
            object.__setattr__(self, "limit_or_values", limit)
        else:
            values = _symmetric_set(given)
            object.__setattr__(self, "limit_or_values", values)
        scale = check_number("Discrete", "scale", self.scale, above=0)
        object.__setattr__(self, "values", tuple(scale * value for value in values))
        if not _FAR <= max(self.values) <= 1 / _FAR:
            raise NbkitError(
                f"Discrete: the largest value must lie in [{_FAR:g}, {1 / _FAR:g}], got {max(self.values):.3g}: fourth "
                "powers leave the floats beyond. Use values nearer to 1."
            )

    @classmethod
    def of_std(cls, std: float, *, how: str = "snap", limit: int = 3) -> "Discrete":
        """The discrete law with this standard deviation, or the integer one nearest to it.

        Args:
            std: wished, above 0.
            how: "snap" takes the integers {-C..C} whose std sqrt(C (C + 1) / 3) is nearest; "scale" takes
                {-limit..limit} times the factor that meets std exactly. `name` says which grid came out.
            limit: of the grid that is scaled.

        Raises:
            NbkitError: a std that is not above 0, another `how`, a limit below 1.
        """
        std = check_number("Discrete.of_std", "std", std, above=0, at_most=1e4)
        if check_choice("Discrete.of_std", "how", how, ("snap", "scale")) == "scale":
            grid = cls(check_integer("Discrete.of_std", "limit", limit, at_least=1))
            return cls(grid.limit_or_values, std / grid.std)
        below = max(1, math.floor((math.sqrt(1 + 12 * std**2) - 1) / 2))
        return min((cls(below), cls(below + 1)), key=lambda law: abs(law.std - std))

    @property
    def name(self) -> str:
        given = self.limit_or_values
        grid = f"integers ±{given}" if isinstance(given, int) else f"values {show(given)}"
        return grid if self.scale == 1 else f"{grid}, scaled by {self.scale:.3g}"

    @property
    def std(self) -> float:
        return math.sqrt(self._moment(2))

    @property
    def kurtosis(self) -> float:
        return self._moment(4) / self._moment(2) ** 2

    @property
    def M(self) -> float:
        """(sum of |w|) / (sqrt 2 N_w), what Lemma 11's proof gives; attained by {-1, 1} and u = (1, 1) / sqrt 2."""
        return self._moment(1) / math.sqrt(2)

    @property
    def density(self) -> float:
        return np.count_nonzero(self.values) / len(self.values)

    def from_noise(self, noise: torch.Tensor, *, out: torch.Tensor | None = None) -> torch.Tensor:
        n = len(self.values)
        position = torch.mul(noise, n, out=out).floor_().clamp_(max=n - 1)
        if isinstance(self.limit_or_values, int):  # an even grid needs no table, which would be slow
            return position.sub_(self.limit_or_values).mul_(self.scale)
        table = torch.tensor(self.values, dtype=noise.dtype, device=noise.device)
        return position.copy_(table[position.long()])

    def scaled(self, factor: float) -> "Discrete":
        return Discrete(self.limit_or_values, self.scale * _check_factor("Discrete", factor))

    def _moment(self, power: int) -> float:
        return float(np.mean(np.abs(self.values) ** power))


def check_law(who: str, name: str, law: object) -> Law:
    """The law.

    Raises:
        NbkitError: anything that is no Law.
    """
    if not isinstance(law, Law):
        raise NbkitError(
            f"{who}: {name} must be a law such as Gaussian(2.0), Uniform(1.0) or Discrete(3), got {show(law)}. "
            "Import one from nbkit.weights."
        )
    return law


def _symmetric_set(given: object) -> tuple[float, ...]:
    given_array = as_array("Discrete", "values", given)
    values = np.unique(given_array.real.astype(np.float64).ravel())
    rule = None
    if np.iscomplexobj(given_array):
        rule = "real numbers"
    elif not values.size:
        rule = "at least two values"
    elif not np.isfinite(values).all():
        rule = "finite values"
    elif not np.allclose(values, -values[::-1], rtol=1e-12, atol=0):
        rule = "a set symmetric about 0"
    elif not values.any():
        rule = "a value other than 0"
    if rule:
        raise NbkitError(f"Discrete: values must be {rule}, got {show(given)}. Write them as (-1, 1) or (-2, 0, 2).")
    return tuple(values.tolist())


def _check_factor(who: str, factor: float) -> float:
    return check_number(f"{who}.scaled", "factor", factor, above=0)
