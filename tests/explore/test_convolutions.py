"""The explorers of notebook 06: isometries and what breaks them, the operator, its graph, slices and kernels."""

import math

import numpy as np
import pytest
import torch

from nbkit.explore import FrequencyExplorer, OperatorExplorer, RamanujanConvExplorer, SliceExplorer
from nbkit.explore.schemes import CHANNELS, SCHEMES, admitted, frequency_values, kernel_of, operator_of, wave_gains
from nbkit.measure import conv_matrix
from nbkit.weights import n_free_slices


def told(explorer):
    return explorer.figure.layout.title.text.replace("<br>", " ").replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("kind", [FrequencyExplorer, OperatorExplorer, RamanujanConvExplorer, SliceExplorer])
def test_every_preset_settles(opened, kind):
    explorer = opened(kind)
    for name, settings in kind.presets.items():
        explorer.set(**settings)
        explorer.settle()
        assert explorer.error is None and explorer.settings | settings == explorer.settings, name


@pytest.mark.parametrize(
    ("preset", "smallest", "largest"),  # the ends as SCIENCE 3.6 has them for other draws, or 1
    [
        ("Fig. 5", 1, 1),
        ("Fig. 6", 1, 1),
        ("without dilation", 0.14, 1.72),
        ("zero padding", 0.02, 1.16),
        ("k does not divide n", 0.06, 1.62),
    ],
)
def test_the_presets_make_or_break_the_isometry(opened, preset, smallest, largest):
    explorer = opened(FrequencyExplorer)
    explorer.set(**explorer.presets[preset])
    explorer.settle()
    values = explorer.data["spectrum"]
    tolerance = 1e-9 if largest == 1 else 0.2
    assert values[-1] == pytest.approx(smallest, abs=tolerance) and values[0] == pytest.approx(largest, abs=tolerance)
    assert ("an isometry" in told(explorer)) == (largest == 1)
    reason = {"without dilation": "without dilation", "k does not divide n": "k = 3 does not divide n = 7"}
    assert reason.get(preset, preset if preset[0] == "z" else "") in told(explorer)


@pytest.mark.parametrize("padding", ["circular", "zeros"])
@pytest.mark.parametrize("scheme", ["delta", "SAO-Delta", "SOC"])
def test_delta_and_soc_are_isometries_under_either_padding(opened, scheme, padding):
    density = 1.0 if scheme == "delta" else 0.25
    explorer = opened(FrequencyExplorer, scheme=scheme, channels=8, size=6, density=density, padding=padding)
    assert explorer.data["is_isometric"] and explorer.data["values"].shape == (6, 6, 8)
    assert list(explorer.figure.data[2].text) == [f"1 × {8 * 36}"]


def test_both_causes_are_named_where_two_conditions_are_missed(opened):
    explorer = opened(FrequencyExplorer, channels=8, size=6, dilation="1", padding="zeros")
    assert "(zero padding, without dilation n/k)" in told(explorer)


def test_a_larger_image_has_few_ticks_again_after_a_small_one_with_all(opened):
    explorer = opened(OperatorExplorer, size=3)
    assert explorer.figure.layout.xaxis.tickmode == "linear"
    explorer.set(size=8)
    explorer.settle()
    assert explorer.figure.layout.xaxis.tickmode == explorer.figure.layout.yaxis.tickmode == "auto"


def test_an_isometry_is_white_and_a_gaussian_is_not(opened):
    explorer = opened(FrequencyExplorer)
    assert all(np.abs(np.asarray(trace.z) - 1).max() < 1e-9 for trace in explorer.figure.data[4:6])
    explorer.set(scheme="Gaussian")
    explorer.settle()
    largest, smallest = (np.asarray(trace.z) for trace in explorer.figure.data[4:6])
    assert largest.min() > 1.2 and smallest.max() < 0.6 and "independent weights" in told(explorer)


@pytest.mark.parametrize("scheme", ["SAO-ECO", "SOC", "Gaussian"])
@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_wave_gains_are_the_lengths_of_the_images_of_plane_waves(scheme, padding):
    n, kernel = 5, kernel_of(scheme, 4, 3, 0.5)
    matrix = operator_of(scheme, kernel, n, 1) if padding == "zeros" else conv_matrix(kernel, n)
    gains = wave_gains(matrix, n)
    u, v = 1, 3
    wave = np.exp(2j * np.pi * (u * np.arange(n)[:, None] + v * np.arange(n)) / n).ravel() / n
    images = matrix.numpy() @ np.kron(np.eye(4), wave[:, None])
    # the FFT of the operator's rows has the other sign: a wave and its mirror image have the same gains
    assert np.allclose(gains[u, v], np.linalg.svd(images, compute_uv=False), atol=1e-12)
    assert np.allclose(gains[u, v], gains[-u % n, -v % n], atol=1e-12)
    if padding == "circular" and scheme != "SOC":
        assert np.allclose(gains, frequency_values(scheme, kernel, n, 1), atol=1e-12)


def test_soc_by_frequency_is_the_exponential_of_its_matrix():
    kernel = 2 * kernel_of("SOC", 4, 3, 1.0)[:, :, :2]  # no longer skew: its exponential is no isometry
    kernel = torch.nn.functional.pad(kernel, (0, 0, 0, 1))
    whole = torch.linalg.svdvals(torch.linalg.matrix_exp(conv_matrix(kernel, 5))).numpy()
    assert np.allclose(np.sort(frequency_values("SOC", kernel, 5, 1), axis=None)[::-1], whole, atol=1e-10)
    assert whole[0] > 1.5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_every_combination_of_settings_offers_something(scheme, padding):
    for channels in CHANNELS:
        for kernel_size in range(1, 6):
            offered = admitted(scheme, channels, kernel_size, padding)
            assert all(offered.values())
            assert ("elta" not in scheme and scheme != "SOC") or all(k % 2 for k in offered["kernel_size"])
            if padding == "zeros":
                assert max(n * n for n in offered["size"]) * min(channels, offered["channels"][-1]) <= 600


def test_zero_padding_offers_only_images_whose_matrix_is_small_and_says_so(opened):
    explorer = opened(FrequencyExplorer, channels=16, size=24)
    explorer.set(padding="zeros")
    explorer.settle()
    assert explorer.settings["size"] == 6 and "576 × 576" in explorer.data["note"]
    explorer.set(padding="circular")
    explorer.settle()
    assert explorer.settings["size"] == 24 and "note" not in explorer.data


def test_pruned_kernels_are_whole_and_as_many_as_the_density_says():
    for scheme in ("pruned delta", "pruned ECO", "SAO-ECO", "SAO-Delta", "SOC"):
        kept = kernel_of(scheme, 16, 3, 0.25).abs().amax(dim=(2, 3)) > 0
        assert int(kept.sum()) == 64, scheme


@pytest.mark.parametrize(
    ("size", "k", "dilation", "padding"), [(4, 3, 1, "circular"), (6, 2, 3, "zeros"), (5, 3, 2, "circular")]
)
def test_the_picture_of_the_operator_is_what_conv2d_does(opened, size, k, dilation, padding):
    explorer = opened(OperatorExplorer, size=size, kernel_size=k, dilation=dilation, padding=padding, pixel=7)
    taps, kernel = explorer.data["taps"], explorer.data["kernel"]
    matrix = np.where(taps >= 0, kernel.ravel()[taps], 0.0)
    image = torch.randn(1, 1, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    reach = dilation * (k - 1)
    pads = (reach // 2, reach - reach // 2) * 2
    padded = torch.nn.functional.pad(image, pads, mode="circular" if padding == "circular" else "constant")
    wanted = torch.nn.functional.conv2d(padded, torch.tensor(kernel)[None, None], dilation=dilation)
    assert np.allclose(matrix @ image.numpy().ravel(), wanted.numpy().ravel(), atol=1e-12)
    assert np.allclose(explorer.data["svd"], np.linalg.svd(matrix, compute_uv=False), atol=1e-12)
    assert np.array_equal(explorer.figure.data[1].z, taps[7].reshape(size, size))


def test_sedghi_agrees_with_circular_padding_and_not_with_zeros(opened):
    explorer = opened(OperatorExplorer, size=6)
    assert explorer.data["difference"] < 1e-12 and "< 1e-12" in told(explorer)
    explorer.set(padding="zeros")
    explorer.settle()
    assert explorer.data["difference"] > 0.1 and "off by" in told(explorer)


def test_a_dilated_eco_kernel_has_orthogonal_rows_and_a_move_of_the_row_keeps_the_matrix(opened):
    explorer = opened(OperatorExplorer, kernel="ECO", size=6, dilation=2)
    assert "rows mutually orthogonal" in told(explorer) and np.allclose(explorer.data["svd"], 1)
    matrix = explorer.figure.data[0].z
    explorer.set(pixel=35)
    explorer.settle()
    assert np.array_equal(matrix, explorer.figure.data[0].z) and explorer.figure.data[2].y[0] == 34.5
    explorer.set(dilation=1)
    explorer.settle()
    assert "orthogonal" not in told(explorer)


def test_an_operator_offers_only_kernels_that_fit_and_pixels_that_are_there(opened):
    explorer = opened(OperatorExplorer, size=8, kernel_size=3, dilation=3, pixel=60)
    explorer.set(size=3)
    explorer.settle()
    assert (explorer.settings["dilation"], explorer.settings["pixel"]) == (1, 8)
    with pytest.raises(Exception, match="kernel_size must be in 1..3"):
        explorer.set(kernel_size=4)
        explorer.settle()


@pytest.mark.parametrize(
    ("dimension", "k", "channels", "first"),  # S18 for one channel; with many no image but the smallest passes
    [("2-D", 3, 1, 6), ("1-D", 3, 1, 16), ("2-D", 3, 64, 4)],
)
def test_convolutions_are_not_ramanujan_from_some_size_on(opened, dimension, k, channels, first):
    explorer = opened(RamanujanConvExplorer, dimension=dimension, kernel_size=k, channels=channels, size=32)
    data, degree = explorer.data, channels * k ** (2 if dimension == "2-D" else 1)
    law = degree / k * np.abs(np.sin(k * np.pi / data["sizes"]) / np.sin(np.pi / data["sizes"]))
    assert np.allclose(data["second"], law, atol=1e-9) and data["bound"] == pytest.approx(2 * math.sqrt(degree - 1))
    assert data["first_failure"] == first and f"every n from {first} fails" in told(explorer)


def test_s18_and_the_waves_above_the_bound(opened):
    explorer = opened(RamanujanConvExplorer, size=5)
    assert "n = 5: 4.854 ≤ 5.657, Ramanujan" in told(explorer)
    assert explorer.canvases["above"].matrix.sum() == 1 and "no waves" in explorer.canvases["above"].title
    explorer.set(size=32)
    explorer.settle()
    u = 2 * np.pi * np.arange(32) / 32
    wanted = np.abs(np.outer(1 + 2 * np.cos(u), 1 + 2 * np.cos(u))) > 2 * math.sqrt(8)
    assert np.array_equal(explorer.canvases["above"].matrix, np.fft.fftshift(wanted))
    assert explorer.data["second"][32 - 3] == pytest.approx(8.885, abs=5e-4) and "not Ramanujan" in told(explorer)
    explorer.set(dimension="1-D")
    explorer.settle()
    assert explorer.canvases["above"].matrix.shape == (1, 32)


@pytest.mark.parametrize(("k", "n_free"), [(1, 1), (2, 4), (3, 5), (4, 10), (5, 13), (6, 20)])
def test_the_free_slices_are_framed_once_and_their_mirrors_after(opened, k, n_free):
    explorer = opened(SliceExplorer, channels=4, kernel_size=k, step=2)
    assert sorted(explorer.figure.data[0].text, key=int) == [str(i + 1) for i in range(n_free)]
    explorer.set(step=3)
    explorer.settle()
    numbers = np.array(explorer.figure.data[0].text).reshape(k, k)
    p, q = np.indices((k, k))
    assert np.array_equal(numbers, numbers[-p % k, -q % k]) and len(np.unique(numbers)) == n_free == n_free_slices(k)


def test_the_slices_are_orthogonal_share_the_mask_and_make_the_kernel(opened):
    explorer = opened(SliceExplorer, channels=8, kernel_size=4, density=0.25)
    slices, kernel, mask = (explorer.data[name] for name in ("slices", "kernel", "mask"))
    assert np.allclose(slices @ slices.transpose(0, 1, 3, 2), np.eye(8), atol=1e-12)
    assert np.abs(slices[:, :, ~mask]).max() < 1e-12 and np.abs(kernel[~mask]).max() < 1e-12
    assert np.allclose(np.fft.ifft2(slices, axes=(0, 1)).transpose(2, 3, 0, 1), kernel, atol=1e-12)
    assert mask.sum() == 16 and "16 of 64 kernels" in told(explorer)


def test_delta_has_three_steps_and_its_matrix_at_the_centre(opened):
    explorer = opened(SliceExplorer, step=5, kernel_size=4)
    explorer.set(scheme="SAO-Delta")
    explorer.settle()
    assert explorer.settings["step"] == 3 and explorer.settings["kernel_size"] == 3
    assert explorer.controls["kernel_size"].options == (1, 3, 5) and explorer.data["step"] == "kernels"
    kernel = explorer.data["kernel"].copy()
    matrix = kernel[:, :, 1, 1].copy()
    kernel[:, :, 1, 1] = 0
    assert not kernel.any() and np.allclose(matrix @ matrix.T, np.eye(8), atol=1e-12)
    assert len(explorer.figure.layout.images) == 2
    explorer.set(step=1)
    explorer.settle()
    assert len(explorer.figure.layout.images) == 1 and explorer.figure.layout.xaxis2.title.text == ""
