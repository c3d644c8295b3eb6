"""Controls: what they make, what they refuse, and what they offer when only some values are admissible."""

import ipywidgets
import pytest
import traitlets

from nbkit.errors import NbkitError
from nbkit.explore import Choice, LogSlider, Slider, Text, Toggle
from nbkit.explore.listed import ListedSlider, fit
from nbkit.explore.panel import close_widgets

DEGREE = Slider("degree", "degree d", values=(2, 4, 8), value=4)
DEPTH = Slider("depth", "depth L", 1, 12, value=5)
SCALE = Slider("scale", "scale σ", 0.0, 2.0, step=0.5)
DENSITY = LogSlider("density", "density α", 1e-3, 1.0, value=0.1)
PLACEMENT = Choice("placement", "placement", ("random", "shift", "aligned"))
RADICES = Text("radices", "radices N", "2,2,2")
SIGNED = Toggle("signed", "signed")


@pytest.fixture
def made():
    widgets = []

    def make(control):
        widgets.append(control.widget())
        return widgets[-1]

    yield make
    close_widgets(*widgets)


@pytest.mark.parametrize(
    ("control", "kind", "start"),
    [
        (DEGREE, ListedSlider, 4),
        (DEPTH, ipywidgets.IntSlider, 5),
        (SCALE, ipywidgets.FloatSlider, 0.0),
        (DENSITY, ListedSlider, 0.1),
        (PLACEMENT, ipywidgets.Dropdown, "random"),
        (RADICES, ipywidgets.Text, "2,2,2"),
        (SIGNED, ipywidgets.Checkbox, False),
    ],
)
def test_a_control_makes_its_widget_at_its_start_with_its_label(made, control, kind, start):
    widget = made(control)
    assert type(widget) is kind
    assert widget.value == start == control.value
    assert widget.description == control.label


@pytest.mark.parametrize(
    ("control", "value", "rule"),
    [
        (DEGREE, 3, "one of 2, 4, 8"),
        (DEPTH, 13, "an integer between 1 and 12"),
        (DEPTH, 2.5, "an integer between 1 and 12"),
        (DEPTH, True, "an integer between 1 and 12"),
        (SCALE, float("nan"), "a number between 0 and 2"),
        (SCALE, "1", "a number between 0 and 2"),
        (DENSITY, 0, "a number between 0.001 and 1"),
        (PLACEMENT, "left", "one of 'random', 'shift', 'aligned'"),
        (RADICES, (2, 2), "text"),
        (SIGNED, "yes", "True or False"),
    ],
)
def test_a_value_outside_is_refused_with_who_which_rule_value_and_mend(control, value, rule):
    with pytest.raises(NbkitError) as caught:
        control.check("WaveExplorer", value)
    message = str(caught.value)
    assert message.startswith(f"WaveExplorer: {control.name} must be {rule}, got {value!r}. ")
    assert message.endswith(".")


def test_a_checked_value_has_the_type_the_stream_expects():
    numpy = pytest.importorskip("numpy")
    assert type(DEPTH.check("x", numpy.int64(3))) is int
    assert type(SCALE.check("x", 1)) is float
    assert type(DEGREE.check("x", numpy.int64(8))) is int


def test_a_listed_slider_offers_only_what_is_admissible_and_then_everything_again(made):
    widget = made(DEGREE)
    DEGREE.offer(widget, (2, 4), 2)
    assert (widget.options, widget.value) == ((2, 4), 2)
    DEGREE.offer(widget, None, 8)
    assert (widget.options, widget.value) == ((2, 4, 8), 8)


def test_a_logarithmic_slider_stands_at_the_step_nearest_to_a_value_between_two(made):
    widget = made(DENSITY)
    assert (DENSITY.steps[0], DENSITY.steps[20], DENSITY.steps[-1], len(DENSITY.steps)) == (0.001, 0.01, 1.0, 61)
    ratios = [after / before for before, after in zip(DENSITY.steps, DENSITY.steps[1:], strict=False)]
    assert all(ratio == pytest.approx(10**0.05, rel=0.01) for ratio in ratios)  # three digits
    DENSITY.offer(widget, None, DENSITY.check("x", 0.0105))
    assert widget.value == 0.01
    DENSITY.offer(widget, None, 0.0107)
    assert widget.value == 0.0112


def test_a_stepping_slider_and_a_choice_offer_only_what_is_admissible(made):
    depth, placement = made(DEPTH), made(PLACEMENT)
    DEPTH.offer(depth, range(2, 4), 3)
    assert (depth.min, depth.max, depth.value) == (2, 3, 3)
    PLACEMENT.offer(placement, ("shift",), "shift")
    assert (tuple(placement.options), placement.value) == (("shift",), "shift")


def test_the_nearest_admissible_value_stands_in_for_a_wish():
    assert DEPTH.nearest(9, (1, 2, 6)) == 6
    assert DEGREE.nearest(4, (2, 4, 8)) == 4
    assert PLACEMENT.nearest("random", ("shift", "aligned")) == "shift"


def test_a_slider_needs_a_range_or_values():
    with pytest.raises(TypeError, match="either low and high, or values"):
        Slider("depth", "depth L")


def test_a_listed_slider_follows_its_track_and_refuses_what_it_does_not_offer(made):
    widget, seen = made(DEGREE), []
    widget.observe(lambda change: seen.append(change["new"]), "value")
    widget.slider.value = 2
    assert (widget.value, seen) == (8, [8])
    with pytest.raises(traitlets.TraitError, match="Invalid selection: 3"):
        widget.value = 3
    DEGREE.offer(widget, (8,), 8)
    widget.slider.value = 1  # a track has two ends even for one value
    assert (widget.value, widget.slider.value, widget.slider.disabled) == (8, 0, True)


@pytest.mark.parametrize(("bounds", "value"), [((0, 3), 0), ((0, 30), 27), ((20, 30), 25), ((0, 12), 5)])
def test_a_slider_never_shows_a_value_outside_its_range_on_the_way_to_new_ones(made, bounds, value):
    widget, told = made(DEPTH), []
    widget.observe(lambda _: told.append((widget.min, widget.value, widget.max)), ["min", "value", "max"])
    fit(widget, *bounds, value)
    assert (widget.min, widget.max, widget.value) == (*bounds, value)
    assert all(low <= shown <= high and shown in (5, value) for low, shown, high in told)
