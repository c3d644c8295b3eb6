"""Lengths of a curve behind the layers of any module: by chords, by tangents, and exactly where it is piecewise linear."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator

import torch
import torch.autograd.forward_ad as forward_ad
from torch import nn

from nbkit.device import check_memory, memory_budget
from nbkit.errors import NbkitError, check_choice, check_integer
from nbkit.measure.curves import Trajectory, as_trajectory

__all__ = ["METHODS", "Speeds", "arc_length", "exact_breakpoints", "midpoints", "speeds_through"]

METHODS = ("tangent", "chords", "exact")
_POINTS = {"tangent": 1000, "chords": 10_001}
_KINKS: dict[type, Callable[[nn.Module], tuple[float, ...]]] = {
    nn.ReLU: lambda _: (0.0,),
    nn.LeakyReLU: lambda _: (0.0,),
    nn.PReLU: lambda _: (0.0,),
    nn.RReLU: lambda _: (0.0,),
    nn.ReLU6: lambda _: (0.0, 6.0),
    nn.Hardtanh: lambda module: (module.min_val, module.max_val),
    nn.Hardsigmoid: lambda _: (-3.0, 3.0),
}
_LINEAR_TO = 1e-7  # largest relative bend that passes for rounding

#: ((n_layers + 1, n_pieces) lengths of the image per unit of t, (n_pieces,) share of t of each piece)
Speeds = tuple[torch.Tensor, torch.Tensor]


def arc_length(
    curve: Trajectory | Callable, net: nn.Module | None = None, *, method: str = "tangent", n_points: int | None = None
) -> float:
    """The arc length of a curve, or of its image at a network's output.

    "chords" adds up the pieces between n_points images (from below on nested grids for a straight line); "tangent"
    integrates the norm of the exact derivative, by the midpoint rule; "exact" finds every breakpoint of a
    piecewise-linear network on a straight line, and adds up what is linear.

    Args:
        curve: t (n,) in [0, 1] -> points (n, dim); `line`, `arc`, `circle`, or any function of torch.
        net: any module that takes (n, dim); put an `nn.Unflatten` in front of a convolution. None: the curve itself.
        method: "tangent", "chords" or "exact".
        n_points: at least 2; default 1,000 tangents or 10,001 points. "exact" takes none.

    Raises:
        NbkitError: too few points, an unknown method, points of the wrong dimension, NaN; "exact" where the image is
            not piecewise linear.

    Source:
        Price & Tanner 2019, section 1.1 (the length) and 4 (10,000 pieces); exact refinement is ours.

    Example:
        >>> from nbkit.measure import line
        >>> round(arc_length(line([0, 1], [1, 0])), 6)
        1.414214
    """
    speeds, shares = speeds_through("arc_length", nn.Identity() if net is None else net, curve, method, n_points)
    return float((speeds[-1] * shares).sum())


def speeds_through(who: str, net: nn.Module, curve: Trajectory | Callable, method: str, n_points: int | None) -> Speeds:
    """Speeds of the curve and of its images behind every nonlinear layer and at the output; see `Speeds`."""
    check_choice(who, "method", method, METHODS)
    if not isinstance(net, nn.Module):
        raise NbkitError(f"{who}: net must be a torch.nn.Module, got {type(net).__name__}. Wrap it in a module.")
    curve = as_trajectory(who, curve)
    if method == "exact":
        if n_points is not None:
            raise NbkitError(f"{who}: n_points must be left out with method='exact', got {n_points}. It finds its own.")
        net = copy.deepcopy(net).double()  # breakpoints are met to rounding, and single precision is too coarse
        times = exact_breakpoints(who, net, curve)
        # chords would see rounding, where a piece dies, as a piece that moves
        straight = curve(torch.tensor([0.0, 1.0])).diff(dim=0)
        middles = (times[:-1] + times[1:]) / 2
        return _tangent_speeds(who, net, curve(middles), straight.expand(len(middles), -1)), times.diff()
    if method == "chords":
        n_points = _check_points(who, method, n_points, curve)
        return _chord_speeds(who, net, curve, torch.linspace(0, 1, n_points, dtype=torch.float64))
    times, shares = midpoints(who, curve, n_points)
    return _tangent_speeds(who, net, curve(times), curve.derivative(times)), shares


def midpoints(who: str, curve: Trajectory, n_points: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """(t in the middles of n_points equal parts of [0, 1], the share of each): where tangents are taken."""
    n_points = _check_points(who, "tangent", n_points, curve)
    shares = torch.full((n_points,), 1 / n_points, dtype=torch.float64)
    return (torch.arange(n_points, dtype=torch.float64) + 0.5) / n_points, shares


def _check_points(who: str, method: str, n_points: int | None, curve: Trajectory) -> int:
    n_points = check_integer(who, "n_points", _POINTS[method] if n_points is None else n_points, at_least=2)
    check_memory(who, 16 * n_points * curve.dim, lower="n_points")
    return n_points


def _tangent_speeds(who: str, net: nn.Module, points: torch.Tensor, velocity: torch.Tensor) -> torch.Tensor:
    parts, n_rows = [], _rows_at_once(who, net, points)
    for rows in zip(points.split(n_rows), velocity.split(n_rows), strict=True):
        images = layer_images(who, net, *rows)
        parts.append(torch.stack([torch.linalg.vector_norm(tangent.flatten(1), dim=1) for _, tangent in images]))
    return torch.cat(parts, dim=1)


def _chord_speeds(who: str, net: nn.Module, curve: Trajectory, times: torch.Tensor) -> Speeds:
    shares, parts = times.diff(), []
    n_rows = _rows_at_once(who, net, curve(times[:2]))
    for start in range(0, len(shares), n_rows):
        images = layer_images(who, net, curve(times[start : start + n_rows + 1]))
        parts.append(
            torch.stack([torch.linalg.vector_norm(image.flatten(1).diff(dim=0), dim=1) for image, _ in images])
        )
    return torch.cat(parts, dim=1) / shares, shares


def _rows_at_once(who: str, net: nn.Module, points: torch.Tensor) -> int:
    """How many points' images fit into the memory budget, with their tangents, in the network's precision and double."""
    n_numbers = sum(image.numel() for image, _ in layer_images(who, net, points[:1]))
    return max(1, memory_budget() // (64 * n_numbers))


def layer_images(
    who: str, net: nn.Module, points: torch.Tensor, velocity: torch.Tensor | None = None
) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
    """(points, tangents) at the input, behind every nonlinear leaf module in the order of the forward pass, and at the
    output; float64 on the CPU, detached."""
    example = next(net.parameters(), torch.empty(0, dtype=torch.float64))
    dtype = example.dtype if example.dtype.is_floating_point else torch.float64
    points = points.to(example.device, dtype)
    with torch.no_grad(), _evaluating(net), contextlib.ExitStack() as stack:
        if velocity is not None:
            stack.enter_context(forward_ad.dual_level())
            points = forward_ad.make_dual(points, velocity.to(example.device, dtype))
        seen, last = [points], points

        def see(module: nn.Module, given: torch.Tensor, out: torch.Tensor) -> None:
            nonlocal last
            last = out.clone()  # for the network, which may write on it: h += x
            seen.append(out)
            return last

        stack.enter_context(_watching(net, see))
        output = _forward(who, net, points)
        if output is not last or output._version:
            seen.append(output)
        return [_unpacked(who, image, velocity is not None) for image in seen]


def _unpacked(who: str, image: torch.Tensor, dual: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    primal, tangent = forward_ad.unpack_dual(image) if dual else (image, None)
    if not torch.isfinite(primal).all():
        raise NbkitError(f"{who}: the network's outputs must be finite, got NaN or infinite ones. Mend its weights.")
    if dual and tangent is None:  # constant in t
        tangent = torch.zeros_like(primal)
    return primal.double().cpu(), tangent.double().cpu() if dual else None


def _forward(who: str, net: nn.Module, points: torch.Tensor) -> torch.Tensor:
    try:
        output = net(points)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise NbkitError(
            f"{who}: net must take points of the shape {tuple(points.shape)}, got {type(error).__name__}: {error}. "
            "Use a curve of its input dimension; nn.Unflatten(1, shape) in front makes images."
        ) from None
    if not isinstance(output, torch.Tensor) or output.ndim < 2 or len(output) != len(points):
        got = f"the shape {tuple(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__
        raise NbkitError(
            f"{who}: net must give one tensor with a row for each of {len(points)} points, got {got}. "
            "Wrap it in a module that returns such; of a FeedForward use network(i)."
        )
    return output


@contextlib.contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    """Dropout and batch normalisation as after training, no input overwritten; afterwards everything as it was."""
    modes = {module: module.training for module in net.modules()}
    in_place = [module for module in net.modules() if getattr(module, "inplace", False)]
    net.eval()
    for module in in_place:
        module.inplace = False
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for module in in_place:
            module.inplace = True


@contextlib.contextmanager
def _watching(net: nn.Module, see: Callable[[nn.Module, torch.Tensor, torch.Tensor], object]) -> Iterator[None]:
    """Call `see` after each nonlinear leaf module's forward pass; what it returns takes the output's place."""

    def hook(module: nn.Module, given: tuple, out: object) -> torch.Tensor | None:
        if isinstance(out, torch.Tensor) and given and isinstance(given[0], torch.Tensor):
            if not _is_affine(module, given[0]):
                return see(module, given[0], out)

    leaves = [module for module in net.modules() if not any(module.children())]
    handles = [leaf.register_forward_hook(hook) for leaf in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _is_affine(module: nn.Module, given: torch.Tensor) -> bool:
    """Whether f(x) + f(y) = f(x + y) + f(0) for a leaf: for random x and y, for y = -x, where every kink at 0 shows,
    and for y = x of many sizes, where every step and every kink elsewhere shows. So any linear layer is recognised."""
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 1, *given.shape[1:], generator=generator, dtype=torch.float64)
    same = torch.cat([one * 2.0**power for power in range(-10, 11)])
    x, y = torch.cat([one, one, same]), torch.cat([other, -one, same])
    probes = torch.cat([x, y, x + y, torch.zeros_like(one).expand_as(x)]).to(given.device, given.dtype)
    outs = module.forward(probes).double()
    if not outs.numel():
        return True
    outs = outs.reshape(4, len(x), -1)
    bends = (outs[0] + outs[1] - outs[2] - outs[3]).abs().amax(dim=1)
    rounding = max(1e-5, 50 * torch.finfo(given.dtype).eps)
    return bool((bends <= rounding * outs.abs().amax(dim=(0, 2))).all())


def exact_breakpoints(who: str, net: nn.Module, curve: Trajectory) -> torch.Tensor:
    """All t, ascending, between which the image of a straight line is linear in every layer; 0 and 1 among them.

    Layer by layer: where a unit's pre-activation changes sides of a kink between neighbouring t, the crossing is
    inserted by linear interpolation.

    Raises:
        NbkitError: curve or network are not piecewise linear; so many breakpoints that memory does not suffice.
    """
    times, done, n_seen = torch.tensor([0.0, 1.0], dtype=torch.float64), 0, 1
    while done < n_seen:
        inputs: list[tuple[nn.Module, torch.Tensor | None]] = []

        def see(module: nn.Module, given: torch.Tensor, out: torch.Tensor) -> None:
            inputs.append((module, given.clone() if len(inputs) == done else None))

        with torch.no_grad(), _evaluating(net), _watching(net, see):
            _forward(who, net, curve(times))
        n_seen = len(inputs)
        if done < n_seen:
            module, given = inputs[done]
            check_memory(who, 32 * given.numel(), lower="the widths or the depth")
            kinks = _KINKS.get(type(module), lambda _: ())(module)
            found = [_crossings(times, given.flatten(1) - kink) for kink in kinks]
            times = torch.unique(torch.cat([times, *found]))
            times = times[torch.cat([torch.ones(1, dtype=torch.bool), times.diff() > 1e-15])]
        done += 1
    _check_linear(who, net, curve, times)
    return times


def _crossings(times: torch.Tensor, heights: torch.Tensor) -> torch.Tensor:
    """Where a column of heights (n_times, n_units) changes its sign between neighbouring times."""
    at, unit = torch.nonzero(heights[:-1] * heights[1:] < 0, as_tuple=True)
    before, after = heights[at, unit], heights[at + 1, unit]
    return times[at] + (times[at + 1] - times[at]) * before / (before - after)


def _check_linear(who: str, net: nn.Module, curve: Trajectory, times: torch.Tensor) -> None:
    """What this could overlook (a curve that bends, a kink in no module, a smooth activation) bends between the t."""
    middles = (times[:-1] + times[1:]) / 2
    ends, halves = layer_images(who, net, curve(times)), layer_images(who, net, curve(middles))
    for layer, ((end, _), (half, _)) in enumerate(zip(ends, halves, strict=True)):
        if not half.numel():
            continue
        bend = ((end[:-1] + end[1:]) / 2 - half).abs().max()
        if bend > _LINEAR_TO * max(float(end.abs().max()), 1e-300):
            what = "the curve must be straight" if not layer else "net must be piecewise linear in known modules"
            raise NbkitError(
                f"{who}: with method='exact' {what}, got a bend in layer {layer}. Use method='tangent' or 'chords'."
            )
