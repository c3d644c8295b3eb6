"""Pictures of convolutions: values per frequency, the operator's matrix, grids of tiles."""

import base64
import zlib

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import INK, SIGNED, Tiles, frequency_figure, operator_figure, tiles_figure
from nbkit.figures.template import palette


def panel_colours(figure, n_rows):
    """(height, width, 3) colours of the first panel, one entry a pixel of its grid of n_rows; its PNG is one of 8 bits with a palette."""
    image = figure.layout.images[0]
    png = base64.b64decode(image.source.split(",")[1])
    at = png.index(b"PLTE")
    length = int.from_bytes(png[at - 4 : at], "big")
    colours = np.frombuffer(png[at + 4 : at + 4 + length], dtype=np.uint8).reshape(-1, 3)
    height = int.from_bytes(png[20:24], "big")
    levels = np.frombuffer(zlib.decompress(png[png.index(b"IDAT") + 4 :]), dtype=np.uint8).reshape(height, -1)[:, 1:]
    factor = height // n_rows
    return colours[levels[factor // 2 :: factor, factor // 2 :: factor]]


@pytest.mark.parametrize("n", [4, 7])
def test_the_maps_show_largest_and_smallest_with_frequency_zero_in_the_middle(n):
    values = np.random.default_rng(0).random((n, n, 3))
    values = -np.sort(-values, axis=2)
    spectrum = -np.sort(-values, axis=None)
    figure = frequency_figure(values, spectrum, family="sao")
    for trace, k in zip(figure.data[-2:], (0, -1), strict=True):
        for u in range(n):
            for v in range(n):
                row, column = (
                    list(trace.y).index((v + n // 2) % n - n // 2),
                    list(trace.x).index((u + n // 2) % n - n // 2),
                )
                assert trace.z[row][column] == values[u, v, k]
        assert (trace.zmin, trace.zmax) == (0, 2)  # white, the middle of the colours, is 1
    assert np.array_equal(figure.data[0].y[:-1], spectrum)


def test_a_long_spectrum_is_thinned_and_keeps_its_ends():
    spectrum = np.linspace(2, 0, 50_000)
    line = frequency_figure(np.ones((2, 2, 1)), spectrum).data[0]
    assert len(line.x) <= 4000 and (line.x[0], line.x[-1]) == (0, 50_000) and (line.y[0], line.y[-1]) == (2, 0)


@pytest.mark.parametrize("values", [np.ones((2, 2)), np.empty((0, 0, 1)), np.full((2, 2, 1), np.nan)])
def test_values_that_are_no_map_are_refused(values):
    with pytest.raises(NbkitError, match=r"frequency_figure: values must"):
        frequency_figure(values, [1.0])


def shifted_taps(n, k):
    """The labels of a circular k x k kernel on an n x n image, by the definition of cross-correlation."""
    taps = np.full((n, n, n, n), -1)
    for i, j, a, b in np.ndindex(n, n, k, k):
        taps[i, j, (i + a - k // 2) % n, (j + b - k // 2) % n] = a * k + b
    return taps.reshape(n * n, n * n)


@pytest.mark.parametrize(("n", "k", "pixel"), [(4, 3, 5), (5, 5, 24), (3, 1, 0)])
def test_the_image_is_the_lit_row_and_both_have_one_colour_a_tap(n, k, pixel):
    taps, kernel = shifted_taps(n, k), np.arange(k * k).reshape(k, k) + 0.5
    figure = operator_figure(taps, kernel, (np.ones(n * n), np.ones(n * n)), pixel=pixel)
    matrix, image, row, output = figure.data[:4]
    assert np.array_equal(matrix.z, taps)
    assert np.array_equal(np.asarray(image.z), np.asarray(matrix.z)[pixel].reshape(n, n))
    assert image.colorscale == matrix.colorscale and (matrix.zmin, matrix.zmax) == (-1.5, k * k - 0.5)
    assert len({colour for _, colour in matrix.colorscale}) == 1 + k * k and matrix.colorscale[0][1].endswith(", 0)")
    assert (row.y.min(), row.y.max()) == (pixel - 0.5, pixel + 0.5)
    assert (output.x.mean(), output.y.mean()) == pytest.approx((pixel % n, pixel // n), abs=0.5)
    assert image.text[pixel // n][pixel % n] == f"tap ({k // 2}, {k // 2}): {kernel[k // 2, k // 2]:.3g}"


@pytest.mark.parametrize(
    ("taps", "kernel", "pixel", "message"),
    [
        (np.zeros((5, 5), int), np.ones((3, 3)), 0, "taps must"),
        (np.zeros((4, 4), int), np.ones((6, 6)), 0, "k at most 5"),
        (np.zeros((4, 4), int), np.ones((1, 1)), 4, "pixel must"),
    ],
)
def test_an_operator_that_is_none_is_refused(taps, kernel, pixel, message):
    with pytest.raises(NbkitError, match=f"operator_figure: .*{message}"):
        operator_figure(taps, kernel, (np.ones(4), np.ones(4)), pixel=pixel)


def test_tiles_stand_in_their_grid_with_signs_and_masks_as_colours():
    values = np.zeros((2, 3, 2, 2))
    values[0, 1, 0, 1], values[1, 2, 1, 0], values[1, 0] = 2.0, -2.0, np.nan
    colours = panel_colours(tiles_figure([Tiles("K", values)]), 6)
    assert colours.shape[:2] == (2 * 3, 3 * 3)  # a gap above and beside each tile
    signed = palette(SIGNED, 200)
    assert np.array_equal(colours[1, 4], signed[-1]) and np.array_equal(colours[3 + 2, 6], signed[0])
    assert (colours[1, 0] >= 252).all()  # 0 is white
    masked = colours[4:6, 0:2].reshape(-1, 3)
    assert len(np.unique(masked, axis=0)) == 1 and not (masked >= 240).any()


def test_tiles_with_one_mark_have_one_frame_and_one_number_and_absent_ones_none():
    marks = np.array([[0, 1, 1], [-1, 2, 0]])
    figure = tiles_figure([Tiles("P", np.ones((2, 3, 4, 4)), marks=marks), None])
    assert list(figure.data[0].text) == ["1", "2", "2", "3", "1"] and len(figure.data[1].text or ()) == 0
    height, width = 4 + 4, 4 + 3  # a frame, and room for the number above
    colours = panel_colours(figure, 2 * height)
    assert (figure.layout.images[0].sizex, figure.layout.images[0].sizey) == (1, 2 * height / (3 * width))
    frame = {at: tuple(colours[(at[0] + 1) * height - 1, at[1] * width]) for at in np.ndindex(2, 3)}
    assert frame[0, 1] == frame[0, 2] and frame[0, 0] == frame[1, 2]
    assert len({frame[0, 0], frame[0, 1], frame[1, 1], frame[1, 0]}) == 4
    assert figure.layout.xaxis2.title.text == "" and len(figure.layout.images) == 1


def test_a_mask_is_ink_where_it_keeps():
    mask = np.array([[True, False], [False, True]])
    colours = panel_colours(tiles_figure([Tiles("M", mask[None, None])]), 3)
    assert np.array_equal((colours[1:, :2] == tuple(bytes.fromhex(INK[1:]))).all(axis=2), mask)


@pytest.mark.parametrize(
    ("values", "marks", "message"),
    [
        (np.ones((2, 2, 3)), None, "values must"),
        (np.full((1, 1, 2, 2), np.inf), None, "values must"),
        (np.ones((2, 2, 3, 3)), np.zeros((3, 2), int), "marks must"),
    ],
)
def test_tiles_that_are_none_are_refused(values, marks, message):
    with pytest.raises(NbkitError, match=rf"tiles_figure \(panel 'K'\): {message}"):
        tiles_figure([Tiles("K", values, marks=marks)])
