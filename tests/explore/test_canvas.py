"""The canvas without a browser: what it takes, what it sends, what it stores."""

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.explore.canvas import MatrixCanvas


def messages(canvas, action):
    """The states sent to the browser while `action` runs, each the set of names it carries."""
    sent = []
    canvas.send_state = lambda key=None: sent.append({key} if isinstance(key, str) else set(key))
    action()
    return sent


def test_zeros_and_ones_travel_as_bits_row_after_row():
    matrix = np.random.default_rng(0).random((5, 7)) < 0.5
    canvas = MatrixCanvas(matrix)
    assert canvas.shape == (5, 7)
    bits = "".join(f"{byte:08b}" for byte in canvas.data)[:35]
    assert bits == "".join(str(int(entry)) for row in matrix for entry in row)
    assert len(canvas.colours) == 2 * 4  # two colours tell the browser that the data are bits


@pytest.mark.parametrize("dtype", [np.int64, np.float64, bool])
def test_any_numbers_that_are_zero_or_one_are_a_0_1_matrix(dtype):
    canvas = MatrixCanvas(np.eye(3, 4, dtype=dtype))
    assert canvas.matrix.dtype == bool
    assert canvas.matrix.sum() == 3


def test_uint8_travels_as_bytes_with_the_brightest_colour_at_its_largest_value():
    matrix = np.array([[0, 3], [7, 1], [2, 2]], dtype=np.uint8)
    canvas = MatrixCanvas(matrix)
    assert canvas.data == matrix.tobytes()
    colours = np.frombuffer(canvas.colours, dtype=np.uint8).reshape(256, 4)
    assert colours[7, :3].sum() > 450
    assert colours[0, :3].sum() < 120
    assert canvas.legend.endswith("bright 7")


def test_a_tensor_is_taken_as_well():
    torch = pytest.importorskip("torch")
    assert MatrixCanvas(torch.eye(4, dtype=torch.bool)).matrix.trace() == 4


def test_show_sends_one_message_with_all_that_changed():
    canvas = MatrixCanvas(np.eye(4))
    sent = messages(canvas, lambda: canvas.show(np.ones((3, 6)), title="all of it"))
    assert len(sent) == 1
    assert {"data", "shape", "frame", "title"} <= sent[0]


def test_show_with_a_highlight_under_one_hold_is_one_message():
    canvas = MatrixCanvas(np.eye(4))

    def both():
        with canvas.hold_sync():
            canvas.show(np.ones((4, 4)))
            canvas.lit_row = 2

    assert len(messages(canvas, both)) == 1


def test_the_kept_matrix_does_not_change_with_the_callers():
    matrix = np.zeros((2, 3), dtype=bool)
    canvas = MatrixCanvas(matrix)
    matrix[0, 0] = True
    assert not canvas.matrix.any()
    with pytest.raises(ValueError, match="read-only"):
        canvas.matrix[0, 0] = True


def test_what_the_browser_hovers_arrives_as_a_tuple():
    canvas = MatrixCanvas(np.eye(4))
    canvas.set_state({"hovered": [1, 1, 1]})
    assert canvas.hovered == (1, 1, 1)
    canvas.set_state({"hovered": None})
    assert canvas.hovered is None


def test_png_is_a_png_at_least_480_px_long():
    png = MatrixCanvas(np.eye(5, 7)).png()
    width, height = (int.from_bytes(png[16 + 4 * i : 20 + 4 * i], "big") for i in range(2))
    assert png.startswith(b"\x89PNG")
    assert width >= 480
    assert width * 5 == height * 7


@pytest.mark.parametrize(
    ("matrix", "rule"),
    [
        (np.zeros(4), "2 axes"),
        (np.zeros((0, 4)), "at least one row"),
        (np.array([[0.0, np.nan]]), "finite"),
        (np.array([[0.5, 1.0]]), "0 and 1"),
        (np.array([[0, 300]]), "uint8"),
        (np.array([["a"]]), "numbers"),
    ],
)
def test_a_wrong_matrix_is_refused_and_the_picture_stays(matrix, rule):
    canvas = MatrixCanvas(np.eye(3))
    with pytest.raises(NbkitError, match=rule):
        canvas.show(matrix)
    assert canvas.shape == (3, 3)
    assert canvas.matrix.sum() == 3


@pytest.mark.parametrize("width", [0, 39, 420.5, "wide"])
def test_a_wrong_size_is_refused(width):
    with pytest.raises(NbkitError, match="width must be an integer of at least 40"):
        MatrixCanvas(np.eye(3), width=width)


def test_png_before_the_first_matrix_is_refused():
    with pytest.raises(NbkitError, match="show"):
        MatrixCanvas().png()


def test_the_javascript_stays_small():
    assert len(MatrixCanvas._esm.splitlines()) <= 150
