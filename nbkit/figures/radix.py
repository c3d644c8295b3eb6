"""The RadiX-Net paper's own pictures: trees that overlap, blocks of an adjacency matrix, Kronecker step, density."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nbkit.errors import NbkitError, check_integer, check_integers
from nbkit.figures.arrays import as_array, as_matrix
from nbkit.figures.matrix import add_colour_bar, add_panel, matrices_figure
from nbkit.figures.template import CARD, FAINT, FAMILY_COLOURS, INK, MAGNITUDE, dress
from nbkit.figures.wiring import wiring_axes, wiring_traces

__all__ = ["block_adjacency_figure", "decision_trees_figure", "density_surface_figure", "kronecker_figure"]

_MAX_LEAVES = 64


def decision_trees_figure(
    sizes: Sequence[int], edges: Sequence[object], *, root: int = 0, title: str = "", height: int = 400
) -> go.Figure:
    """One decision tree (left) and the topology made of one such tree from every node (right).

    The left tree unfolds every path from the root; in a mixed-radix topology its leaves are all different
    (Lemma 1: one path to every output).

    Args:
        sizes, edges: as for `wiring_traces`.
        root: the node of the first layer whose tree is drawn, and lit on the right.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: no such root, more than 64 paths from it.

    Source:
        Robinett & Kepner 2019, Fig. 1.
    """
    everything = wiring_traces(sizes, edges)
    root = check_integer("decision_trees_figure", "root", root, at_least=0, at_most=sizes[0] - 1)
    levels, parents = _unfolded(root, edges)
    lit = wiring_traces(sizes, edges, lit_nodes=[np.unique(level) for level in levels])
    figure = make_subplots(
        1, 2, subplot_titles=[f"the tree of node {root}", f"all {sizes[0]} trees, laid over each other"]
    )
    lines = {"mode": "lines", "hoverinfo": "skip"}
    blue = FAMILY_COLOURS["radix"]
    for row, column, values, colour in (
        (1, 1, _tree_lines(levels, parents), blue),
        (1, 2, everything[1], FAINT),
        (1, 2, lit[2], blue),
    ):
        figure.add_trace(go.Scatter(values, **lines).update(line_color=colour), row, column)
    for column, values, colour in ((1, _tree_marks(levels), blue), (2, everything[3], INK), (2, lit[4], blue)):
        marks = go.Scatter(values, mode="markers+text", hoverinfo="skip", textfont={"color": CARD, "size": 9})
        marks.marker.update(color=colour, opacity=1)
        figure.add_trace(marks, 1, column)
    dress(figure, title, height=height)
    for column, counts in ((1, [level.size for level in levels]), (2, sizes)):
        axes = wiring_axes(counts)
        figure.update_xaxes(axes["xaxis"], row=1, col=column).update_yaxes(
            {**axes["yaxis"], "title": None}, row=1, col=column
        )
    return figure.update_layout(margin_t=figure.layout.margin.t + 26)


def _unfolded(root: int, edges: Sequence[object]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Labels at each level of the unfolded tree, children in order of their parents, and each child's parent."""
    levels, parents = [np.array([root])], []
    for layer, wire in enumerate(as_array("decision_trees_figure", "edges", pair, n_axes=2) for pair in edges):
        children = [wire[1][wire[0] == label] for label in levels[-1]]
        levels.append(np.concatenate(children))
        parents.append(np.repeat(np.arange(len(children)), [len(part) for part in children]))
        if levels[-1].size > _MAX_LEAVES:
            raise NbkitError(
                f"decision_trees_figure: edges must give at most {_MAX_LEAVES} paths from the root, got "
                f"{levels[-1].size} after layer {layer + 1}. Use smaller radices."
            )
    return levels, parents


def _tree_lines(levels: list[np.ndarray], parents: list[np.ndarray]) -> dict[str, np.ndarray]:
    sizes = [level.size for level in levels]
    return wiring_traces(sizes, [np.stack([parent, np.arange(parent.size)]) for parent in parents])[1]


def _tree_marks(levels: list[np.ndarray]) -> dict[str, object]:
    written = max(level.size for level in levels) <= 16
    return {
        "x": np.repeat(np.arange(len(levels)), [level.size for level in levels]),
        "y": np.concatenate([(np.arange(level.size) + 0.5) / level.size for level in levels]),
        "text": np.concatenate(levels).astype(str) if written else None,
        "marker": {"size": 16 if written else 5},
    }


def block_adjacency_figure(
    biadjacencies: Sequence[object], path_counts: object, *, title: str = "", height: int = 470
) -> go.Figure:
    """The adjacency matrix A of all nodes at once, blocks W_i above the diagonal, and its power A^n.

    A^n is zero but for its top-right block, the number of paths from each input to each output.

    Args:
        biadjacencies: W_1 .. W_n, (sizes[i], sizes[i + 1]) 0/1 each.
        path_counts: (sizes[0], sizes[n]), the top-right block of A^n.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: matrices that do not chain.

    Source:
        Robinett & Kepner 2019, section II and Fig. 4.
    """
    blocks = [as_matrix("block_adjacency_figure", block) for block in biadjacencies]
    paths = as_matrix("block_adjacency_figure", path_counts)
    sizes = _chained(blocks, paths)
    ends = np.cumsum([0, *sizes])
    full = np.zeros((ends[-1], ends[-1]), dtype=bool)
    for i, block in enumerate(blocks):
        full[ends[i] : ends[i + 1], ends[i + 1] : ends[i + 2]] = block
    power = np.zeros(full.shape)
    power[: sizes[0], ends[-2] :] = paths
    n = len(blocks)
    figure = make_subplots(
        1, 2, subplot_titles=["A: who feeds whom", f"A<sup>{n}</sup>: paths of {n} wires"], horizontal_spacing=0.12
    )
    add_panel(figure, full, "ink", 0, 1, row=1, col=1)
    add_panel(figure, power, MAGNITUDE, 0, max(1.0, float(paths.max())), row=1, col=2)
    add_colour_bar(figure, MAGNITUDE, 0, max(1.0, float(paths.max())), "paths")
    _outline(figure, ends)
    figure.update_xaxes(title_text="to node").update_yaxes(title_text="from node", col=1)
    dress(figure, title, height=height)
    return figure.update_layout(margin_t=figure.layout.margin.t + 26)


def _chained(blocks: list[np.ndarray], paths: np.ndarray) -> list[int]:
    """Sizes of all layers of nodes."""
    shapes = [block.shape for block in blocks]
    if not shapes or any(left[1] != right[0] for left, right in zip(shapes, shapes[1:], strict=False)):
        raise NbkitError(
            f"block_adjacency_figure: biadjacencies must chain, columns of one = rows of the next, got {shapes}. "
            "Pass the layers of one topology."
        )
    if paths.shape != (shapes[0][0], shapes[-1][1]):
        raise NbkitError(
            f"block_adjacency_figure: path_counts must have shape {(shapes[0][0], shapes[-1][1])}, got {paths.shape}. "
            "Pass path_counts(topology)."
        )
    return [shapes[0][0], *(shape[1] for shape in shapes)]


def _outline(figure: go.Figure, ends: np.ndarray) -> None:
    """Every block W_i framed and named in A, the top-right block of the power framed."""
    frame = {"type": "rect", "line": {"color": FAMILY_COLOURS["radix"], "width": 1.5}}
    corners = ends - 0.5
    for i in range(len(ends) - 2):
        x, y = corners[i + 1 : i + 3], corners[i : i + 2]
        figure.add_shape(frame, x0=x[0], x1=x[1], y0=y[0], y1=y[1], row=1, col=1)
        name = {"text": f"<b>W<sub>{i + 1}</sub></b>", "font": {"color": FAMILY_COLOURS["radix"]}, "showarrow": False}
        figure.add_annotation(name, x=x[0], y=y.mean(), xanchor="right", xshift=-4, row=1, col=1)
    figure.add_shape(frame, x0=corners[-2], x1=corners[-1], y0=corners[0], y1=corners[1], row=1, col=2)


def kronecker_figure(widths: Sequence[int], biadjacency: object, *, title: str = "") -> go.Figure:
    """The Kronecker step: ones(D_in, D_out), a layer W, and their product, the layer of the RadiX-Net.

    Args:
        widths: (D_in, D_out), integers of at least 1.
        biadjacency: W, (n_in, n_out) 0/1.
        title: the finding.

    Raises:
        NbkitError: not two widths, or no matrix.

    Source:
        Robinett & Kepner 2019, Fig. 5.
    """
    widths = check_integers("kronecker_figure", "widths", widths, at_least=1, minimum_length=2)
    if len(widths) > 2:
        raise NbkitError(f"kronecker_figure: widths must be two, of one layer, got {widths}. Pass (D_in, D_out).")
    layer = as_matrix("kronecker_figure", biadjacency)
    ones = np.ones(widths, dtype=bool)
    panels = {f"ones({widths[0]}, {widths[1]})": ones, "⊗ W": layer, "= the wider layer": np.kron(ones, layer)}
    return matrices_figure(panels, title=title, row_label="input u", column_label="output v")


def density_surface_figure(
    means: object, depths: object, densities: object, *, title: str = "", height: int = 480
) -> go.Figure:
    """Density over the mean radix and the number of radices a system, height and colour logarithmic.

    Args:
        means: (n,) mean radices mu.
        depths: (m,) radices a system d.
        densities: (m, n), above 0.
        title: the finding.
        height: in px.

    Raises:
        NbkitError: shapes that disagree, a density of 0 or below.

    Source:
        Robinett & Kepner 2019, eq. (6) and Fig. 7.
    """
    who = "density_surface_figure"
    mean, depth = as_array(who, "means", means, n_axes=1), as_array(who, "depths", depths, n_axes=1)
    density = as_matrix(who, densities)
    if density.shape != (depth.size, mean.size) or (density <= 0).any():
        raise NbkitError(
            f"{who}: densities must be above 0 with shape {(depth.size, mean.size)}, got shape {density.shape} from "
            f"{density.min():g}. Pass one row for each depth."
        )
    powers = np.log10(density)
    marks = np.arange(np.floor(powers.min()), np.ceil(powers.max()) + 1)
    names = [f"10<sup>{int(mark)}</sup>" for mark in marks]
    bar = {"title": {"text": "density (log)", "side": "right"}, "tickvals": marks, "ticktext": names, "thickness": 12}
    hover = "μ = %{x}, d = %{y}: density %{customdata:.3g}<extra></extra>"
    figure = go.Figure(
        go.Surface(
            x=mean, y=depth, z=powers, customdata=density, colorscale=MAGNITUDE, colorbar=bar, hovertemplate=hover
        )
    )
    side = {"backgroundcolor": CARD, "gridcolor": FAINT, "color": INK}
    scene = {
        "xaxis": {**side, "title": {"text": "mean radix μ"}},
        "yaxis": {**side, "title": {"text": "radices a system d"}},
        "zaxis": {**side, "title": {"text": "density (log)"}, "tickvals": marks, "ticktext": names},
        "camera": {"eye": {"x": 1.55, "y": 1.55, "z": 0.9}, "center": {"x": 0, "y": 0.1, "z": -0.2}},
        "aspectmode": "manual",
        "aspectratio": {"x": 1, "y": 1, "z": 0.75},
    }
    return dress(figure, title, height=height, scene=scene)
