"""Singular values of the Jacobian of a network at a point, of its whole and of its factors."""

import copy
from collections.abc import Iterator

import torch
from torch import nn

from nbkit.device import as_tensor, check_memory
from nbkit.errors import NbkitError
from nbkit.measure.products import DeepProduct
from nbkit.nets import MaxMin, SparseLinear, SparseSequential, dense_copy

__all__ = ["jacobian_factors", "jacobian_log10_singular_values", "jacobian_singular_values"]

# What acts on every number alone has a diagonal Jacobian; what has none of its own only passes numbers on.
_ELEMENTWISE = nn.Tanh, nn.ReLU, nn.SiLU, nn.GELU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Softplus
_PASSING = nn.Identity, nn.Dropout, nn.Flatten
_LINEAR = nn.Linear, SparseLinear
_HOMOGENEOUS = *_LINEAR, nn.Conv2d, nn.ReLU, nn.LeakyReLU, MaxMin, *_PASSING  # without bias: f(c x) = c f(x), c > 0
_CHAINS = nn.Sequential, SparseSequential
_CHUNK_BYTES = 2**26  # of gradients that travel back together through one layer


def jacobian_singular_values(net: nn.Module, x: object) -> torch.Tensor:
    """The singular values of the Jacobian of a network at a point, or at each point of a batch.

    The network is evaluated in float64 and in eval mode (Dropout passes, BatchNorm uses its running statistics),
    whatever its own; the module itself, its modes and its gradients stay as they are. For square orthogonal W those of
    one layer phi(W x) are |phi'(h)| exactly. Values below 1e-16 of the largest are rounding: for deep networks see
    `jacobian_log10_singular_values`.

    Args:
        net: a module that maps batches of points to batches of points and does not mix the points.
        x: (n_in,) or an image (c, h, w), one point; (batch, n_in) or (batch, c, h, w), a batch.

    Returns:
        float64 (min(n_in, n_out),) or (batch, min(n_in, n_out)), descending, on the device of the network. Of the
        output, all numbers count as one vector.

    Raises:
        NbkitError: no module, NaN in x or in the weights, an x that the network does not take, an output that does not
            depend differentiably on x, a Jacobian that overflows or is beyond the memory budget.

    Source:
        Esguerra et al. 2023, section III: J = product of D_l W_l.
    """
    who = "jacobian_singular_values"
    copied, points, is_one = _prepare(who, net, x)
    if any(isinstance(module, SparseLinear) for module in copied.modules()):
        copied = dense_copy(copied)  # compressed rows take no batch of gradients
    jacobian = _jacobian(who, copied, points)[1]
    if not jacobian.isfinite().all():
        raise NbkitError(
            f"{who}: the Jacobian must fit into float64, but it overflows. Use jacobian_log10_singular_values."
        )
    values = torch.linalg.svdvals(jacobian)
    return values[0] if is_one else values


def jacobian_factors(net: nn.Sequential, x: object) -> list[torch.Tensor]:
    """The factors of the Jacobian of a chain of modules at one point, the one at the input first.

    Their product, the last one leftmost, is the Jacobian. Like `jacobian_singular_values` in float64 and eval mode.

    Args:
        net: an nn.Sequential or SparseSequential (chains inside it are opened); any module may stand in it.
        x: (n_in,) or an image (c, h, w).

    Returns:
        float64 tensors: (n,) the diagonal of an elementwise activation, or (n_out, n_in); the weights of a float64
        network are not copied. Dropout, Flatten and Identity give none.

    Raises:
        NbkitError: no nn.Sequential, a batch, and what `jacobian_singular_values` refuses.

    Example:
        >>> net = nn.Sequential(nn.Linear(3, 2, bias=False), nn.ReLU())
        >>> [tuple(factor.shape) for factor in jacobian_factors(net, [1.0, 2.0, 3.0])]
        [(2, 3), (2,)]
    """
    who = "jacobian_factors"
    copied, points, is_one = _prepare(who, net, x)
    if not is_one:
        raise NbkitError(f"{who}: x must be one point, got a batch of shape {tuple(points.shape)}. Give x[0].")
    return list(_factors(who, copied, points))


def jacobian_log10_singular_values(net: nn.Sequential, x: object) -> torch.Tensor:
    """log10 of the singular values of the Jacobian of a deep chain of modules, right where float64 would underflow.

    The factors are multiplied by `nbkit.measure.DeepProduct`; exact zeros are -inf.

    Args:
        net: an nn.Sequential, as `jacobian_factors` takes it.
        x: one point or a batch, as `jacobian_singular_values` takes it; the points of a batch go one after another.

    Returns:
        float64 (min(n_in, n_out),) or (batch, min(n_in, n_out)), descending.

    Raises:
        NbkitError: what `jacobian_factors` refuses.
    """
    who = "jacobian_log10_singular_values"
    copied, points, is_one = _prepare(who, net, x)
    rows = []
    for point in points.split(1):
        product = DeepProduct(point.numel())
        for factor in _factors(who, copied, point):
            product.multiply(factor)
        rows.append(product.log10_singular_values())
    values = torch.stack(rows).to(points.device)
    return values[0] if is_one else values


def _prepare(who: str, net: nn.Module, x: object) -> tuple[nn.Module, torch.Tensor, bool]:
    """A float64 copy of the network in eval mode, the points as a batch, and whether there is only one."""
    if not isinstance(net, nn.Module):
        raise NbkitError(f"{who}: net must be a torch module, got {type(net).__name__}. See nbkit.nets.chain.")
    state = [*net.named_parameters(), *net.named_buffers()]
    for name, values in state:
        if isinstance(values, nn.parameter.UninitializedTensorMixin):
            raise NbkitError(f"{who}: the weights must be there, got none yet in {name}. Run the network once.")
        if not values.isfinite().all():
            raise NbkitError(f"{who}: the weights must be finite, got NaN or infinite ones in {name}. Train it anew.")
    points = as_tensor(who, "x", x)
    if points.ndim not in (1, 2, 3, 4) or not points.numel() or points.is_complex() or not points.isfinite().all():
        raise NbkitError(
            f"{who}: x must be finite real numbers (n_in,), (batch, n_in), (c, h, w) or (batch, c, h, w), got "
            f"{points.dtype}, shape {tuple(points.shape)}{'' if points.isfinite().all() else ', NaN or infinite'}. "
            "Give a point or a batch of points."
        )
    is_one = points.ndim in (1, 3)
    points = points.to(state[0][1].device if state else points.device, torch.float64)
    return _double(net), points[None] if is_one else points, is_one


def _double(net: nn.Module) -> nn.Module:
    """A copy in float64 and eval mode; float64 weights are shared with the network, not copied."""
    with torch.inference_mode(False):  # what is made in it can have no gradient
        doubles: dict[int, object] = {
            id(values): nn.Parameter(values.detach().double(), requires_grad=False)
            for values in net.parameters()
            if values.is_floating_point()
        }
        copied = copy.deepcopy(net, doubles).eval().double()
    for module in copied.modules():
        if hasattr(module, "inplace"):  # would overwrite the point
            module.inplace = False
    return copied


def _factors(who: str, net: nn.Module, point: torch.Tensor) -> Iterator[torch.Tensor]:
    """The factors of a prepared network at a batch of one point."""
    modules = list(_opened(who, net))
    scalable = all(type(module) in _HOMOGENEOUS and getattr(module, "bias", None) is None for module in modules)
    for module in modules:
        if scalable:  # the Jacobian is that of every multiple of the point, which shall neither vanish nor overflow
            point = point / point.abs().amax().clamp_min(torch.finfo(point.dtype).tiny)
        if type(module) in _LINEAR and point.ndim == 2 and point.shape[1] == _n_in(module):
            point = module(point)
            yield (module.weight if type(module) is nn.Linear else module.to_dense()).detach()
        elif type(module) in _PASSING:
            point = module(point)
        elif not point.isfinite().all():
            raise NbkitError(f"{who}: the activations must be finite, but they overflow. Scale the weights down.")
        elif type(module) is nn.Tanh:  # autograd's 1 - tanh^2 has no digit left from |h| = 19 on
            slopes = point.flatten().cosh().pow(-2)
            point = module(point)
            yield slopes
        else:
            point, jacobian = _jacobian(who, module, point, diagonal=type(module) in _ELEMENTWISE)
            yield jacobian[0]


def _n_in(module: nn.Linear | SparseLinear) -> int:
    return module.in_features if type(module) is nn.Linear else module.layer.n_in


def _opened(who: str, net: nn.Module) -> Iterator[nn.Module]:
    """The modules of a chain, those of chains inside it included."""
    if type(net) not in _CHAINS:
        raise NbkitError(
            f"{who}: net must be an nn.Sequential, whose modules are the factors, got {type(net).__name__}. "
            "Use nn.Sequential(*layers), or jacobian_singular_values for any module."
        )
    for module in net:
        yield from _opened(who, module) if type(module) in _CHAINS else (module,)


def _jacobian(
    who: str, module: nn.Module, points: torch.Tensor, *, diagonal: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """The images of points and the Jacobians there, (batch, n_out, n_in), or their diagonals (batch, n)."""
    with torch.inference_mode(False), torch.enable_grad():
        points = points.clone().requires_grad_()
        images = _images(who, module, points)
        outputs = images.flatten(1)
        if diagonal:
            return images.detach(), torch.autograd.grad(outputs.sum(), points)[0].flatten(1)
        n_points, n_in, n_out = len(points), points[0].numel(), outputs.shape[1]
        check_memory(who, 24 * n_points * n_in * n_out, lower="the number of points or the width")
        n_rows = max(1, _CHUNK_BYTES // (8 * n_points * max(n_in, n_out)))
        unit = torch.eye(n_out, dtype=outputs.dtype, device=outputs.device)[:, None].expand(-1, n_points, -1)
        rows = [
            torch.autograd.grad(outputs, points, chunk, retain_graph=True, is_grads_batched=True)[0].flatten(2)
            for chunk in unit.split(n_rows)
        ]
    return images.detach(), torch.cat(rows).transpose(0, 1)


def _images(who: str, module: nn.Module, points: torch.Tensor) -> torch.Tensor:
    try:
        images = module(points)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise NbkitError(
            f"{who}: net must take x as points of shape {tuple(points.shape[1:])}, but {type(module).__name__} says: "
            f"{error}. Give points of the width of the network."
        ) from error
    is_real = isinstance(images, torch.Tensor) and images.is_floating_point() and images.numel() > 0
    if not is_real or images.ndim < 2 or len(images) != len(points) or not images.requires_grad:
        got = f"{images.dtype}, {tuple(images.shape)}" if isinstance(images, torch.Tensor) else type(images).__name__
        raise NbkitError(
            f"{who}: net must map a batch of points to as many, differentiably, got {got} from "
            f"{tuple(points.shape)}. Take out what detaches its input or joins points."
        )
    return images
