"""The answers of the lab: sentences made of the numbers that were measured of two configurations, whatever these are."""

import math

import numpy as np

from nbkit.questions.configuration import DECAYED
from nbkit.questions.costs import ROTATED
from nbkit.questions.measured import Measured
from nbkit.questions.training import STRENGTHS

__all__ = [
    "tell_account",
    "tell_alive",
    "tell_compressed",
    "tell_decay",
    "tell_gap",
    "tell_growth",
    "tell_isometry",
    "tell_mask",
    "tell_orthogonal",
    "tell_paths",
    "tell_radial",
    "tell_spread",
]

_CLEAR = 2.0  # standard errors that make a difference
_CLEAR_OF_TWO = 2.24  # where the larger of two differences is looked at: as rarely beyond by chance, once in twenty


def tell_growth(a: Measured, b: Measured) -> str:
    return f"One layer lengthens a line by the root mean square of {_rms(a)}, and {_rms(b)}."


def _rms(m: Measured) -> str:
    law = m.numbers["theory"]
    due = "no law" if math.isnan(law) else f"law of a step: {law:.3f}"
    return f"{m.numbers['rms']:.3f} on {m.configuration.name} ({due})"


def tell_spread(a: Measured, b: Measured) -> str:
    one, other = (m.numbers["spread"] for m in (a, b))
    told = f"After {a.configuration.depth} layers the log-length spreads by {_luck(a)} and by {_luck(b)}"
    if math.isnan(one) or math.isnan(other):
        return f"{told}: too few to be compared."
    apart = abs(one - other) / max(math.hypot(a.numbers["spread_error"], b.numbers["spread_error"]), 1e-9)
    verdict = "so many lines tell no difference"
    if apart >= _CLEAR:
        verdict = f"{(a if one > other else b).configuration.name} is left more to luck"
    return f"{told}, {apart:.1f} standard errors apart: {verdict}."


def _luck(m: Measured) -> str:
    n, name = m.numbers, m.configuration.name
    amount = "an unknown amount" if math.isnan(n["spread"]) else f"{n['spread']:.3f}"
    lost = f" ({n['shrunk']:.0f} of {n['nets']:.0f} lines became points)" if n["shrunk"] else ""
    return f"{amount} on {name}{lost}"


def tell_orthogonal(a: Measured, b: Measured) -> str:
    return _sentence(_fit(a), _fit(b))


def _fit(m: Measured) -> str:
    own, n = m.configuration, m.numbers
    told = f"{own.name} has singular values {_interval(n['smallest'], n['largest'])}"
    if own.wires != "RadiX":
        return told
    told = told.replace(own.name, f"{own.name} with D = {n['dense_width']:.0f}")
    if math.isnan(n["admitting"]):
        return told
    share = "all" if n["admitting"] == n["layers"] else "only"
    return f"{told}, while with D = 1 {share} {n['admitting']:.0f} of its {n['layers']:.0f} layers admit orthogonal weights without zeros"


def _interval(low: float, high: float) -> str:
    return f"all {high:.3g}" if high - low < 1e-9 else f"{low:.3g} to {high:.3g}"


def tell_paths(a: Measured, b: Measured) -> str:
    return f"Behind {a.configuration.depth} layers {_shared(a)}; {_shared(b)}."


def _shared(m: Measured) -> str:
    n = m.numbers
    since = f" (from layer {n['full_at']:.0f} on)" if n["full_at"] <= m.configuration.depth else ""
    told = f"{_wires(m)} joins {n['joined']:.1%} of the pairs{since}"
    if n["least"] == n["most"]:
        return f"{told}, each by {_count(n['least'])}"
    return f"{told} by {n['least']:.0f} to {n['most']:.0f} paths, a spread of {n['spread']:.0%} of their mean"


def _count(n_paths: float) -> str:
    return f"{n_paths:.0f} path{'s' * (n_paths != 1)}"


def tell_gap(a: Measured, b: Measured) -> str:
    return f"Second over first singular value, of one layer and of the cascade: {_expands(a)}; {_expands(b)}."


def _expands(m: Measured) -> str:
    n = m.numbers
    side = "within" if n["second"] <= n["bound"] + 1e-9 else "above"
    return (
        f"{_wires(m)} {n['share']:.3f} and {n['cascade']:.3f} (a layer's second is {n['second']:.2f}, {side} Ramanujan's "
        f"{n['bound']:.2f})"
    )


def tell_compressed(a: Measured, b: Measured) -> str:
    return _sentence(_qr(a), _qr(b))


def _qr(m: Measured) -> str:
    own, n = m.configuration, m.numbers
    if own.activation not in ROTATED:
        return (
            f"from the {n['before']:.0f} parameters on {_wires(m)} QR takes nothing, since {own.activation} activations do "
            "not commute with rotations"
        )
    return (
        f"on {_wires(m)} of density {n['density']:.3g} QR turns {n['before']:.0f} parameters into {n['after']:.0f}, and "
        f"pays above density {n['break_even']:.2g} ({n['break_even_all']:.2g} if zeros count, as in the paper)"
    )


def tell_radial(a: Measured, b: Measured) -> str:
    return f"{a.configuration.depth} layers make a line {_lengthened(a)}, and {_lengthened(b)}."


def _lengthened(m: Measured) -> str:
    law = m.theory
    due = (
        ""
        if law is None
        else f", where {'orthogonal weights make it' if _is_radial(m) else 'the root mean square is'} {law[-1]:.3g}"
    )
    return f"{m.numbers['length']:.3g} times as long behind {m.configuration.activation} activations{due}"


def _is_radial(m: Measured) -> bool:
    return m.configuration.activation == "radial"


def tell_alive(a: Measured, b: Measured) -> str:
    return _sentence(_left(a), _left(b))


def _left(m: Measured) -> str:
    n = m.numbers
    dead = f"{n['dead']:.0f} of {n['units']:.0f} units inside are dead" if n["units"] else "no unit lies inside"
    return (
        f"{m.configuration.name}: {dead}, {n['joined']:.0%} of the pairs are joined and {n['zeros']:.0%} of the Jacobian's "
        f"singular values are below 1/1000 of the largest"
    )


def tell_decay(a: Measured, b: Measured) -> str:
    trained = [m for m in (a, b) if m.configuration.wires == DECAYED]
    if not trained:
        return f"Without weight decay: {_factor(a)}; {_factor(b)}."
    n = trained[0].numbers
    courses = ", ".join(
        f"{n[f'sigma_w at {strength:g}']:.2f} and {n[f'factor at {strength:g}']:.2f} at λ = {strength:g}"
        for strength in STRENGTHS
    )
    last = f"sigma_w at {STRENGTHS[-1]:g}"
    other = [m for m in (a, b) if m is not trained[0]][0]
    return (
        f"σ_w and growth of a layer are {n['sigma_w born']:.2f} and {n['factor born']:.2f} at birth, and behind training "
        f"{courses}, where random weights of that σ_w have {n[last] / math.sqrt(2):.2f}; {_factor(other)}."
    )


def _factor(m: Measured) -> str:
    return f"{m.configuration.name} grows by {m.numbers['factor']:.2f} a layer"


def tell_mask(a: Measured, b: Measured) -> str:
    return _sentence(_kind(a), _kind(b))


def _kind(m: Measured) -> str:
    n = m.numbers
    if not n["density"]:
        return f"{_wires(m)} leaves no wire"
    verdict = "as good as random wires of its degrees"
    if n["blocks"] >= 0.5 or n["outliers"] >= 0.5:
        kind = "separate blocks" if n["blocks"] >= 0.5 else "more structure than its degrees give"
        verdict = f"{kind}, no expander"
    return (
        f"{_wires(m)} of density {n['density']:.2f} has {n['dead']:.3g} dead nodes a layer, the second over the first singular "
        f"value is {n['share']:.2f} where random masks of that density have {n['null']:.2f} and of its degrees "
        f"{n['null_degrees']:.2f}: {verdict}"
    )


def tell_isometry(a: Measured, b: Measured) -> str:
    logs = f"The log₁₀ of the Jacobian's singular values is {_logs(a)} and {_logs(b)}"
    apart = {name: _apart(a.samples[name], b.samples[name]) for name in ("mean", "spread")}
    if math.isnan(apart["mean"][1]):
        return f"{logs}: too few networks to tell them apart."
    told = ", ".join(f"{name} {gap:+.3f} ± {error:.3f}" for name, (gap, error) in apart.items())
    is_clear = max(abs(gap) / max(error, 1e-9) for gap, error in apart.values()) > _CLEAR_OF_TWO
    return f"{logs}: {'told' if is_clear else 'not told'} apart (B minus A, input by input: {told})."


def _apart(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The mean difference b - a of networks that take the same inputs, and its standard error; NaN of fewer than two."""
    gaps = np.array([other - one for one, other in zip(a, b)])  # one side may be ahead of the other
    gaps = gaps[np.isfinite(gaps)]
    if len(gaps) < 2:
        return math.nan, math.nan
    return float(gaps.mean()), float(gaps.std(ddof=1) / math.sqrt(len(gaps)))


def _logs(m: Measured) -> str:
    n = m.numbers
    return f"{n['mean']:.3f} with a spread of {n['spread']:.3f} on {m.configuration.name}"


def tell_account(a: Measured, b: Measured) -> str:
    n = a.numbers
    left = f"{n['qr_parameters']:.0f} parameters and {n['qr_flops']:.0f} operations"
    return _sentence(_needs(a), _needs(b), f"QR leaves a dense radial network of these widths {left}")


def _needs(m: Measured) -> str:
    n = m.numbers
    return (
        f"{_wires(m)} takes {n['edges']:.0f} wires, {n['parameters']:.0f} parameters and {n['flops']:.0f} operations, "
        f"{100 * n['flops'] / n['dense_flops']:.3g}% of dense"
    )


def _wires(m: Measured) -> str:
    return m.configuration.wires


def _sentence(*parts: str) -> str:
    return f"{parts[0][0].upper()}{parts[0][1:]}; {'; '.join(parts[1:])}."
