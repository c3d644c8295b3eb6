"""The picture of times and bytes: milliseconds with a band, powers of 2 along both axes, one colour a kind of wires."""

import numpy as np
import pytest

from nbkit.errors import NbkitError
from nbkit.figures import FAMILY_COLOURS, SPEED_WIRES, SpeedView, speed_axis, speed_figure

WIDTHS = np.array([64, 128, 256])
TIMES = {way: (place + 1) * np.array([[2.0, 4.0, 8.0], [1.0, 2.0, 4.0], [4.0, 8.0, 16.0]]) / 1000
         for place, way in enumerate(("dense", "csr", "ours"))}  # fmt: skip
BYTES = {"dense": 4 * WIDTHS**2, "ours": 16 * WIDTHS}


@pytest.mark.parametrize(("wires", "family"), SPEED_WIRES.items())
def test_times_are_drawn_in_milliseconds_and_bytes_below(wires, family):
    figure = speed_figure(SpeedView("width", WIDTHS, 1, wires, TIMES, BYTES))
    there = [trace for trace in figure.data if trace.x is not None and len(trace.x) and trace.mode != "text"]
    lines = {(trace.yaxis, trace.name): trace for trace in there if not trace.fill}
    assert set(lines) == {("y", "dense"), ("y", "□ CSR"), ("y", "● ours"), ("y2", "dense"), ("y2", f"{wires} wires")}
    assert lines["y", "● ours"].x.tolist() == [6, 7, 8] and lines["y", "● ours"].y.tolist() == [6, 12, 24]
    assert lines["y2", f"{wires} wires"].y.tolist() == BYTES["ours"].tolist()
    assert lines["y", "□ CSR"].line.color == lines["y", "● ours"].line.color == FAMILY_COLOURS[family]
    band = next(trace for trace in there if trace.name == "dense band")
    np.testing.assert_allclose(band.y, [4, 8, 16, 4, 2, 1])
    assert figure.layout.yaxis.type == figure.layout.yaxis2.type == "log"


def test_the_axes_name_powers_of_2():
    widths, densities = speed_axis(SpeedView("width")), speed_axis(SpeedView("density"))
    assert dict(zip(widths["tickvals"], widths["ticktext"], strict=True))[10] == "1024"
    assert dict(zip(densities["tickvals"], densities["ticktext"], strict=True))[-5] == "1/32"
    figure = speed_figure(SpeedView("density", np.array([2, 4, 8]), 64, "SAO", TIMES, BYTES))
    assert next(trace for trace in figure.data if trace.name == "dense" and len(trace.x)).x.tolist() == [-5, -4, -3]


def test_unknown_wires_are_refused():
    with pytest.raises(NbkitError, match="speed_figure: family must be one of"):
        speed_figure(SpeedView(wires="copper"))
