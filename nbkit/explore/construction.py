"""Explorer of notebook 05: an orthogonal sparse matrix in the making, step by step as the SAO paper's Fig. 4."""

from collections.abc import Iterator

from nbkit.errors import NbkitError
from nbkit.explore.controls import Choice, Slider
from nbkit.explore.explorer import Explorer
from nbkit.figures import construction_figure, construction_layout, construction_steps
from nbkit.topology import biregular, complete_blocks
from nbkit.weights import orthogonal

__all__ = ["ConstructionExplorer"]

_SIZES, _DEGREES = (4, 6, 8, 12, 16, 24, 32), (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
_STEPS = 6


class ConstructionExplorer(Explorer):
    """From M_1 to an orthogonal S: a mask of copies, its blocks made orthogonal, put into place, and sorted."""

    groups = {
        "wires": [
            Slider("n_in", "inputs n", values=_SIZES, value=8),
            Slider("n_out", "outputs m", values=_SIZES, value=8),
            Slider("degree", "degree", values=_DEGREES, value=2),
            Choice("placement", "placement", ("random", "shift", "aligned")),
        ],
        "making": [
            Slider("seed", "draw", 0, 9, value=0),
            Slider("step", "step", 1, _STEPS, value=_STEPS, play=True),
        ],
    }
    presets = {
        "Fig. 4": {"n_in": 8, "n_out": 8, "degree": 2, "placement": "random", "step": 6},
        "more outputs": {"n_in": 8, "n_out": 12, "degree": 3, "placement": "random", "step": 6},
        "more inputs": {"n_in": 32, "n_out": 16, "degree": 4, "placement": "random", "step": 6},
        "aligned": {"n_in": 16, "n_out": 16, "degree": 4, "placement": "aligned", "step": 6},
    }
    height = 580

    def build(self) -> None:
        steps = _steps(8, 8, 2, "random", 0)[0]
        self.figure = self.figure_widget(construction_figure(steps, n_shown=0, height=self.height), ghosts=False)
        self._layout: dict[str, object] = {}

    def stream(self, *, n_in: int, n_out: int, degree: int, placement: str, seed: int, step: int) -> Iterator[dict]:
        """One frame: all six matrices, and how many are shown."""
        steps, shape = _steps(n_in, n_out, degree, placement, seed)
        yield {"steps": steps, "shape": shape, "n_in": n_in, "n_out": n_out, "step": step}

    def draw(self, frame: dict) -> None:
        layout = construction_layout(frame["steps"], n_shown=frame["step"])
        for key in [key for key in layout if layout[key] != self._layout.get(key)]:
            self.figure.layout[key] = layout[key]
        self._layout = layout
        self.figure.retitle(_title(frame))

    def admissible(self, settings: dict) -> dict:
        return {"degree": [degree for degree in _DEGREES if _is_admitted(settings["n_in"], settings["n_out"], degree)]}


def _is_admitted(n_in: int, n_out: int, degree: int) -> bool:
    try:
        biregular(n_in, n_out, degree)
    except NbkitError:
        return False
    return True


def _steps(n_in: int, n_out: int, degree: int, placement: str, seed: int) -> tuple[dict, tuple[int, int, int]]:
    """The matrices of the steps by their headings, and (n_blocks, c, d)."""
    wires = biregular(n_in, n_out, degree, placement=placement, seed=seed)
    (blocks,) = complete_blocks(wires)
    weights = orthogonal(wires, seed=seed + 100)  # not the numbers that the placement was drawn with
    return construction_steps(wires.mask(), weights, blocks.inputs, blocks.outputs), blocks.shape


def _title(frame: dict) -> str:
    (b, c, d), tall = frame["shape"], frame["n_out"] >= frame["n_in"]
    n_in, n_out, copies = frame["n_in"], frame["n_out"], d if tall else c
    kind = "an orthogonal" if n_in == n_out else "a semi-orthogonal"
    return [
        f"M₁: {'each column has ' + _some(c, 'one') if tall else 'each row has ' + _some(d, 'one')}, the other way one",
        f"{'1 copy' if copies == 1 else f'{copies} copies'} of M₁: every input feeds {_some(c, 'output')}, "
        f"every output hears {_some(d, 'input')}",
        f"{_some(b, 'orthogonal block')} {c} × {d}: one for each set of {'columns' if tall else 'rows'} that are alike",
        f"Each block's numbers go where M has ones: {b * c * d} of {n_in * n_out} weights",
        f"Sorted, S is {_some(b, 'separate block')}: {_some(b, 'small dense layer')} side by side",
        f"{_some(b, 'block')} {c} × {d} make{'s' * (b == 1)} {kind} matrix {n_out} × {n_in} with "
        f"{100 * b * c * d / (n_in * n_out):.3g}\N{NO-BREAK SPACE}% of its weights",
    ][frame["step"] - 1]


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
