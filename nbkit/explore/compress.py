"""Explorer of notebook 09: a radial network shrinks layer by layer, whatever widths are typed; and what one may type."""

from collections.abc import Iterator
from functools import lru_cache

import torch

from nbkit.compress import Compression, qr_compress
from nbkit.errors import NbkitError, check_integers
from nbkit.explore.controls import Choice, Slider, Text
from nbkit.explore.explorer import Explorer
from nbkit.explore.typed import parse_integers
from nbkit.figures import compression_figure, compression_layout, compression_traces
from nbkit.nets import RADIAL_FUNCTIONS, RadialNet, n_radial_parameters

__all__ = ["CompressExplorer", "bias_first", "typed_widths"]

_MOST_LAYERS, _MOST_PARAMETERS = 10, 200_000  # more columns cannot be told apart; more numbers take too long
_N_POINTS = 200


class CompressExplorer(Explorer):
    """Algorithm 1 layer by layer: columns shrink, blocks of the matrices empty, and the network's function stays."""

    groups = {
        "network": [
            Text("widths", "widths n", "1, 8, 16, 8, 1"),
            Choice("activation", "function h", tuple(RADIAL_FUNCTIONS), value="squash"),
            Slider("seed", "seed", 0, 19, value=0),
        ],
        "algorithm": [Slider("step", "layers done", 0, _MOST_LAYERS - 1, value=_MOST_LAYERS - 1, play=True)],
    }
    presets = {
        "Example 6": {"widths": "1, 8, 16, 8, 1", "step": 3},
        "Fig. 4": {"widths": "1, 4, 4, 1", "step": 2},
        "experiment 3": {"widths": "2, 16, 64, 128, 16, 2", "activation": "sigmoid", "step": 4},
        "narrowing": {"widths": "3, 3, 10, 2, 9, 2", "step": 4},
        "an encoder": {"widths": "16, 8, 4, 2", "step": 2},
    }
    height = 700

    def build(self) -> None:
        figure = compression_figure((1, 1), (1, 1), [[[0.0, 0.0]]], height=self.height)
        self.figure = self.figure_widget(figure, ghosts=False)

    def stream(self, *, widths: str, activation: str, seed: int, step: int) -> Iterator[dict]:
        """One frame: the network after so many layers, and its matrices in the axes chosen so far."""
        found, points = _compressed(typed_widths("CompressExplorer", widths), activation, seed)
        axes = [q.T if i < step else torch.eye(len(q)).to(q) for i, q in enumerate(found.rotations)]
        now = found.step(step)
        yield {
            "widths": found.original.widths,
            "kept": now.widths,
            "matrices": bias_first(found.original.act(axes)),
            "n_parameters": {
                "before": found.n_parameters_before,
                "now": now.n_parameters,
                "after": found.n_parameters,
            },
            "gap": _largest_gap(found.original, now, points),
            "step": step,
            "n_steps": len(found.rotations),
        }

    def draw(self, frame: dict) -> None:
        self.figure.redraw(compression_traces(frame["widths"], frame["kept"]))
        layout = compression_layout(frame["widths"], frame["kept"], frame["matrices"])
        for key in ("images", "shapes"):  # an update would keep those that are one too many
            self.figure.layout[key] = layout.pop(key)
        self.figure.update_layout(**layout)
        self.figure.retitle(_title(frame))

    def admissible(self, settings: dict) -> dict:
        return {"step": range(len(typed_widths("CompressExplorer", settings["widths"])) - 1)}


def typed_widths(who: str, text: str, *, most_parameters: int = _MOST_PARAMETERS) -> tuple[int, ...]:
    """The widths of a radial network from a text such as `1, 8, 16, 8, 1`, small enough to be drawn.

    Raises:
        NbkitError: no integers, fewer than three of them, one below 1, more layers or parameters than can be shown.
    """
    widths = check_integers(who, "widths", parse_integers(who, "widths", text), at_least=1, minimum_length=3)
    if len(widths) > _MOST_LAYERS + 1:
        raise NbkitError(f"{who}: widths must be at most {_MOST_LAYERS + 1}, got {len(widths)}. Leave some out.")
    if n_radial_parameters(widths) > most_parameters:
        raise NbkitError(
            f"{who}: widths must make at most {most_parameters:,} parameters to be shown, got "
            f"{n_radial_parameters(widths):,}. Use smaller ones, or `qr_compress` in a cell: it has no such limit."
        )
    return widths


def bias_first(net: RadialNet) -> list[torch.Tensor]:
    """[b W] of every layer, (n_out, 1 + n_in)."""
    return [torch.column_stack([linear.bias, linear.weight]).detach() for linear in net.linears]


@torch.no_grad()
def _largest_gap(net: RadialNet, other: RadialNet, x: torch.Tensor) -> float:
    """The largest difference of two networks' outputs at x, in parts of the largest output of the first."""
    wanted = net(x)
    return ((other(x) - wanted).abs().max() / wanted.abs().max().clamp(min=1e-300)).item()


@lru_cache(maxsize=20)
def _compressed(widths: tuple[int, ...], activation: str, seed: int) -> tuple[Compression, torch.Tensor]:
    """A network of random weights in float64, compressed, and standard normal points (n, n_0) to compare it at."""
    found = qr_compress(RadialNet(widths, activation, seed=seed).double())
    generator = torch.Generator().manual_seed(seed)
    return found, torch.randn(_N_POINTS, widths[0], generator=generator, dtype=torch.float64)


def _title(frame: dict) -> str:
    before, now, after = (frame["n_parameters"][when] for when in ("before", "now", "after"))
    if before == after:
        return f"No layer is wider than the one before it plus 1: all {before:,} parameters stay"
    same = f"outputs differ by {frame['gap']:.0e} of the largest" if frame["gap"] else "outputs are the same"
    if not frame["step"]:
        return f"{before:,} parameters, of which {after:,} are enough: choose the axes of one layer after the other"
    return f"{before:,} → {now:,} parameters after {frame['step']} of {frame['n_steps']} layers: {same}"
