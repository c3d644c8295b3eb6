"""A matrix picture decodes to the matrix; panels share one scale."""

import base64
import struct
import zlib

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import (
    INK,
    MAGNITUDE,
    PAPER,
    block_adjacency_figure,
    kronecker_figure,
    matrices_figure,
    matrix_figure,
)
from nbkit.figures.arrays import encode_png
from nbkit.figures.template import palette


def decoded(png):
    """(height, width, 3) colours of an indexed PNG, by the PNG standard and not by our writer."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind], at = body, at + 12 + length
    width, height, depth, colour_type = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert colour_type == 3
    assert list(chunks)[-1] == b"IEND"
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()  # filter 0
    levels = np.unpackbits(rows[:, 1:], axis=1)[:, :width] if depth == 1 else rows[:, 1:]
    return np.frombuffer(chunks[b"PLTE"], dtype=np.uint8).reshape(-1, 3)[levels]


def entries(figure, panel, shape):
    """The colour in the middle of every entry of a panel's picture."""
    colours = decoded(base64.b64decode(figure.layout.images[panel].source.split(",")[1]))
    rows, columns = ((np.arange(n) * 2 + 1) * side // (2 * n) for n, side in zip(shape, colours.shape, strict=False))
    return colours[rows][:, columns]


def rgb(colour):
    return tuple(bytes.fromhex(colour[1:]))


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (13, 7), (40, 1200)])
def test_a_0_1_picture_decodes_to_ink_on_paper(shape):
    matrix = np.random.default_rng(0).random(shape) < 0.4
    colours = entries(matrix_figure(matrix), 0, shape)
    assert np.array_equal((colours == rgb(INK)).all(axis=2), matrix)
    assert np.array_equal((colours == rgb(PAPER)).all(axis=2), ~matrix)


def test_magnitudes_run_through_cividis_from_zero_to_the_largest():
    matrix = np.array([[0.0, 2.0, 4.0]])
    colours = entries(matrix_figure(matrix), 0, (1, 3))
    assert np.array_equal(colours[0, [0, 2]], palette(MAGNITUDE)[[0, 255]])
    assert np.abs(colours[0, 1].astype(int) - palette(MAGNITUDE)[128]).max() <= 1


def test_signed_values_are_white_at_zero_blue_below_vermilion_above():
    colours = entries(matrix_figure(np.array([[-2.0, 0.0, 1.0, 2.0]])), 0, (1, 4))
    assert tuple(colours[0, 0]) == rgb("#0072B2")
    assert colours[0, 1].min() >= 253
    assert tuple(colours[0, 3]) == rgb("#D55E00")


def test_uint8_is_a_magnitude_and_exact_counts_of_any_size_are_taken():
    assert entries(matrix_figure(np.array([[0, 1]], dtype=np.uint8)), 0, (1, 2))[0, 0].tolist() != list(rgb(PAPER))
    counts = np.array([[10**30, 0]], dtype=object)
    assert np.array_equal(entries(matrix_figure(counts), 0, (1, 2))[0, 0], palette(MAGNITUDE)[255])


def test_panels_share_one_scale():
    figure = matrices_figure({"small": np.array([[1.0, 0.5]]), "large": np.array([[4.0, 0.0]])})
    small, large = entries(figure, 0, (1, 2)), entries(figure, 1, (1, 2))
    assert np.array_equal(large[0, 0], palette(MAGNITUDE)[255])
    assert np.array_equal(small[0, 0], palette(MAGNITUDE)[64])
    assert [note.text for note in figure.layout.annotations] == ["small", "large"]


def test_rows_run_downwards_and_axes_say_what_they_are():
    figure = matrix_figure(np.eye(3, 5))
    assert figure.layout.yaxis.range == (2.5, -0.5)
    assert figure.layout.xaxis.range == (-0.5, 4.5)
    assert (figure.layout.yaxis.title.text, figure.layout.xaxis.title.text) == ("input node u", "output node v")


def test_png_of_eight_bits_keeps_every_level():
    levels = np.arange(256).reshape(8, 32)
    assert np.array_equal(decoded(encode_png(levels, palette(MAGNITUDE))), palette(MAGNITUDE)[levels])


def test_kronecker_panels_are_the_product():
    layer = np.random.default_rng(0).random((3, 4)) < 0.5
    figure = kronecker_figure((2, 3), layer)
    product = np.block([[layer] * 3] * 2)
    assert np.array_equal((entries(figure, 2, (6, 12)) == rgb(INK)).all(axis=2), product)
    assert (entries(figure, 0, (2, 3)) == rgb(INK)).all()


def test_block_adjacency_holds_the_layers_above_the_diagonal_and_the_paths_at_the_top_right():
    first, second = np.ones((2, 3)), np.array([[1, 0], [1, 1], [0, 1]])
    figure = block_adjacency_figure([first, second], first @ second)
    adjacency = np.zeros((7, 7), dtype=bool)
    adjacency[:2, 2:5], adjacency[2:5, 5:] = first, second
    assert np.array_equal((entries(figure, 0, (7, 7)) == rgb(INK)).all(axis=2), adjacency)
    power = np.linalg.matrix_power(adjacency.astype(int), 2)
    bright = (entries(figure, 1, (7, 7)) == palette(MAGNITUDE)[255]).all(axis=2)
    assert np.array_equal(bright, power == 2)


@pytest.mark.parametrize("matrix", [np.zeros(3), np.zeros((2, 0)), np.array([[np.inf]]), [["a"]], [[1, 2], [3]], None])
def test_what_is_no_finite_matrix_is_refused(matrix):
    with pytest.raises(NbkitError, match="matrix_figure: matrix must"):
        matrix_figure(matrix)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: matrices_figure({}), "at least one entry"),
        (lambda: kronecker_figure((2, 3, 4), np.eye(2)), "two, of one layer"),
        (lambda: kronecker_figure((2, 0), np.eye(2)), "at least 1"),
        (lambda: block_adjacency_figure([np.eye(2), np.eye(3)], np.eye(2)), "must chain"),
        (lambda: block_adjacency_figure([], np.eye(2)), "must chain"),
        (lambda: block_adjacency_figure([np.eye(2)], np.eye(3)), "path_counts must have shape"),
    ],
)
def test_panels_that_do_not_fit_are_refused(call, rule):
    with pytest.raises(NbkitError, match=rule):
        call()
