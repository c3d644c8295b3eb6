"""Convolutions that keep lengths, as torch modules: delta-orthogonal and ECO kernels, SOC (Esguerra et al. 2023)."""

import math

import torch
from torch import nn

from nbkit.errors import NbkitError, check_choice, check_integer
from nbkit.topology import Layer, complete_blocks
from nbkit.weights.convolution import check_kernel

__all__ = ["OrthogonalConv2d", "SkewConv2d"]

_PADDINGS = ("circular", "zeros")
_STRIDES = ("unshuffle", "skip")
_MAX_TERMS = 64  # a series that needs more has terms so large that their rounding shows


class _Convolution(nn.Module):
    """What both convolutions share: a trainable kernel that keeps its mask, the stride, and the pads around an image."""

    def __init__(self, kernel: object, padding: str, stride: int) -> None:
        super().__init__()
        who = type(self).__name__
        kernel = check_kernel(who, kernel)
        self.weight = nn.Parameter(kernel.clone())
        self.register_buffer("mask", (kernel != 0).any(3).any(2)[:, :, None, None])
        self.padding = check_choice(who, "padding", padding, _PADDINGS)
        self.stride = check_integer(who, "stride", stride, at_least=1, at_most=2**20)

    def extra_repr(self) -> str:
        """The arguments, for torch's own print."""
        c_out, c_in, *taps = self.weight.shape
        return f"{c_in}, {c_out}, kernel_size={tuple(taps)}, stride={self.stride}, padding={self.padding!r}"

    def _unshuffled(self, x: torch.Tensor, stride: int) -> torch.Tensor:
        """The image with each stride x stride square of pixels as channels."""
        who, kind = type(self).__name__, self.weight.dtype
        if not isinstance(x, torch.Tensor) or x.ndim not in (3, 4) or x.dtype != kind:
            got = f"{x.dtype}, {x.ndim} dimensions" if isinstance(x, torch.Tensor) else type(x).__name__
            raise NbkitError(
                f"{who}: x must be a {kind} tensor (batch, channels, height, width), got {got}. Use x.to({kind}), or .float() "
                "on the network."
            )
        if any(n % stride for n in x.shape[-2:]):
            raise NbkitError(
                f"{who}: x must have a height and width that the stride of {stride} divides, got {tuple(x.shape)}. "
                "Pad or crop the image."
            )
        return nn.functional.pixel_unshuffle(x, stride) if stride > 1 else x

    def _padded(self, x: torch.Tensor, dilation: tuple[int, int]) -> torch.Tensor:
        """dilation * (k - 1) pixels more in all, the smaller half of an odd number before the image, as torch has it."""
        totals = [d * (k - 1) for d, k in zip(dilation, self.weight.shape[2:], strict=True)]
        if self.padding == "zeros":
            mode = "constant"
        elif all((total + 1) // 2 <= n for total, n in zip(totals, x.shape[-2:], strict=True)):
            mode = "circular"
        else:
            raise NbkitError(
                f"{type(self).__name__}: the kernel must not reach around the image more than once, got a "
                f"{' x '.join(map(str, self.weight.shape[2:]))} kernel with dilation {dilation} on {tuple(x.shape)}. "
                "Use a smaller kernel, or a larger image."
            )
        return nn.functional.pad(x, [side for total in totals[::-1] for side in (total // 2, total - total // 2)], mode)


class OrthogonalConv2d(_Convolution):
    """A convolution that keeps the size of its image, by default around its edges (circular padding).

    It is isometric at birth for kernels of `delta_orthogonal`, with either padding, and for those of `eco` with circular
    padding and `dilation="eco"`. Training may lose that; a kernel that is wholly zero at birth is a missing wire, and
    stays zero. Even kernels are padded by one pixel more behind than before. Where the mask is a union of equal complete
    blocks of channels, as SAO's, a grouped convolution leaves the missing kernels out.

    Args:
        kernel: (c_out, c_in, k, k), copied; the module has its dtype and device. `.float()` makes it float32.
        dilation: between taps, at least 1; or "eco", n / k, along each axis, for an image of n pixels.
        padding: "circular" or "zeros".
        stride: s > 1 unshuffles first: n x n pixels of c channels are n/s x n/s pixels of c s^2, then the stride is 1.
            The kernel's c_in counts those.
        strided: "unshuffle"; or "skip", which computes every s-th pixel of every s-th row only, as torch's own strided
            convolution does: it drops directions, but no length grows.

    Raises:
        NbkitError: no kernel, another dilation, padding, stride or way to stride; when run, an image that does not fit them.

    Source:
        Esguerra et al. 2023, sections III-D.3, III-D.4 and IV-C.

    Example:
        >>> from nbkit.weights import eco
        >>> convolution = OrthogonalConv2d(eco((12, 16), 4), dilation="eco", stride=2).float()
        >>> convolution(torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 16, 16, 16])
    """

    def __init__(
        self,
        kernel: object,
        *,
        dilation: int | str = 1,
        padding: str = "circular",
        stride: int = 1,
        strided: str = "unshuffle",
    ) -> None:
        super().__init__(kernel, padding, stride)
        self.strided = check_choice("OrthogonalConv2d", "strided", strided, _STRIDES)
        for name in ("inputs", "outputs", "order"):
            self.register_buffer(name, None, persistent=False)
        self.register_load_state_dict_post_hook(OrthogonalConv2d._find_blocks)
        self._find_blocks()
        is_eco = isinstance(dilation, str) and dilation == "eco"
        self.dilation = "eco" if is_eco else check_integer("OrthogonalConv2d", "dilation", dilation, at_least=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, c_in / stride^2, height, width) -> (batch, c_out, height / stride, width / stride).

        With strided="skip" the image has c_in channels, and sizes that the stride does not divide are rounded up.

        Raises:
            NbkitError: other channels, another dtype, a size that the stride or, for "eco", the kernel size does not
                divide.
        """
        skip = self.stride if self.strided == "skip" else 1
        x = self._unshuffled(x, self.stride // skip)
        if x.shape[-3] != self.weight.shape[1]:
            raise NbkitError(
                f"OrthogonalConv2d: x must have {self.weight.shape[1]} channels behind the stride, got {x.shape[-3]}. "
                "A stride s makes s^2 channels of each: give the kernel's c_in as many."
            )
        dilation = self._eco_dilation(x) if self.dilation == "eco" else (self.dilation,) * 2
        if self.inputs is None:
            kernel = self.weight * self.mask
            return nn.functional.conv2d(self._padded(x, dilation), kernel, stride=skip, dilation=dilation)
        x = self._padded(x.index_select(-3, self.inputs.flatten()), dilation)
        kernel = self.weight[self.outputs[:, :, None], self.inputs[:, None, :]].flatten(0, 1)
        y = nn.functional.conv2d(x, kernel, stride=skip, dilation=dilation, groups=len(self.inputs))
        return y if self.order is None else y.index_select(-3, self.order)

    def prune(self, mask: torch.Tensor) -> None:
        """Keep the kernels of a mask, (c_out, c_in) of 0 and 1, and no others, in place and for good."""
        self.mask = self.mask & mask.to(self.mask)[:, :, None, None]
        self.weight.data *= self.mask
        self._find_blocks()

    def _find_blocks(self, *_: object) -> None:
        """The channels of each block of the mask, where all channels lie in blocks of one shape and there are several."""
        self.inputs = self.outputs = self.order = None
        wires = self.mask[:, :, 0, 0]
        if wires.all() or not (wires.any(0).all() and wires.any(1).all()):
            return
        try:
            found = complete_blocks(Layer.from_biadjacency(wires.T))
        except NbkitError:
            return
        if len(found) == 1:
            outputs = torch.from_numpy(found[0].outputs)
            self.inputs, self.outputs = (t.to(wires.device) for t in (torch.from_numpy(found[0].inputs), outputs))
            if not torch.equal(outputs.flatten(), torch.arange(outputs.numel())):
                self.order = outputs.flatten().argsort().to(wires.device)

    def _eco_dilation(self, x: torch.Tensor) -> tuple[int, int]:
        taps, size = self.weight.shape[2:], x.shape[-2:]
        if any(n % k for n, k in zip(size, taps, strict=True)):
            shared = math.gcd(*size)
            divisors = [str(k) for k in range(1, shared + 1) if shared % k == 0]
            raise NbkitError(
                f'OrthogonalConv2d: with dilation="eco" the kernel size must divide the image, got {taps[0]} x {taps[1]} '
                f"taps and {size[0]} x {size[1]} pixels{' behind the stride' if self.stride > 1 else ''}. "
                f"Use a kernel size of {', '.join(divisors)} (dilation n / k)."
            )
        return size[0] // taps[0], size[1] // taps[1]


class SkewConv2d(_Convolution):
    """A skew-orthogonal convolution: the exponential, as a series, of the convolution with a skew-symmetric kernel.

    exp(L) x = x + L x + L L x / 2 + ... The parameter is skew-symmetrised in every run, so the layer stays orthogonal
    while it trains; with a mask only where the mask is aligned, as `soc` makes it. Training that makes the kernel much
    larger needs more terms than birth did.

    Args:
        kernel: of `soc`, (c, c, k, k), k odd; copied.
        c_out: channels of the output, at most c: the others are dropped. Default c.
        n_terms: of the series, at least 1; default as many as the rounding of the kernel's dtype shows at birth.
        padding: "circular" or "zeros"; the layer is orthogonal with both.
        stride: as in `OrthogonalConv2d`.

    Raises:
        NbkitError: no kernel, c_in != c_out in it, an even one, one too large for a series; when run, an image that does
            not fit.

    Source:
        Singla & Feizi 2021; c_in != c_out as Esguerra et al. 2023, section IV-C.

    Example:
        >>> from nbkit.weights import soc
        >>> SkewConv2d(soc(12, 3), c_out=8, stride=2).float()(torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 8, 16, 16])
    """

    def __init__(
        self,
        kernel: object,
        *,
        c_out: int | None = None,
        n_terms: int | None = None,
        padding: str = "circular",
        stride: int = 1,
    ) -> None:
        super().__init__(kernel, padding, stride)
        who, shape = "SkewConv2d", tuple(self.weight.shape)
        if shape[0] != shape[1] or shape[2] != shape[3] or shape[2] % 2 == 0:
            raise NbkitError(f"{who}: kernel must be (c, c, k, k) with k odd, got {shape}. Use soc(channels, 3).")
        self.c_out = shape[0] if c_out is None else check_integer(who, "c_out", c_out, at_least=1, at_most=shape[0])
        self.n_terms = (
            _enough_terms(self._skew()) if n_terms is None else check_integer(who, "n_terms", n_terms, at_least=1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width) -> (batch, c_out, height / stride, width / stride).

        An image with fewer channels than the kernel gets zeros for the others.

        Raises:
            NbkitError: more channels than the kernel's, another dtype, a size that the stride does not divide.
        """
        x, channels = self._unshuffled(x, self.stride), len(self.weight)
        if x.shape[-3] > channels:
            raise NbkitError(
                f"SkewConv2d: x must have at most {channels} channels behind the stride, got {x.shape[-3]}. "
                "A stride s makes s^2 channels of each: use soc of as many."
            )
        total = term = nn.functional.pad(x, (0, 0, 0, 0, 0, channels - x.shape[-3]))
        kernel = self._skew()
        for power in range(1, self.n_terms):
            term = nn.functional.conv2d(self._padded(term, (1, 1)), kernel / power)
            total = total + term
        return total[..., : self.c_out, :, :]

    def _skew(self) -> torch.Tensor:
        return self.mask * (self.weight - self.weight.transpose(0, 1).flip(2, 3)) / 2


def _enough_terms(kernel: torch.Tensor) -> int:
    """The terms of exp(L) that rounding shows: norm(L) <= k norm(kernel as a (c k, c k) matrix) (Singla & Feizi 2021)."""
    rows = kernel.detach().permute(0, 2, 1, 3).flatten(2).flatten(0, 1)
    bound = kernel.shape[2] * float(torch.linalg.matrix_norm(rows.double(), 2))
    n_terms, term = 1, bound
    while term > torch.finfo(kernel.dtype).eps and n_terms <= _MAX_TERMS:
        n_terms += 1
        term *= bound / n_terms
    if n_terms > _MAX_TERMS:
        raise NbkitError(
            f"SkewConv2d: kernel must be small enough for a series of {_MAX_TERMS} terms, got one whose norm may be "
            f"{bound:.3g}. Lower the scale of soc, or give n_terms."
        )
    return n_terms
