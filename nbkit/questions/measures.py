"""The measures of the lab by name, each a stream that begins at once and refines."""

from collections.abc import Callable, Iterator

from nbkit.device import one_thread
from nbkit.errors import NbkitError, check_choice, show
from nbkit.questions.configuration import Configuration
from nbkit.questions.costs import measure_budget, measure_compression
from nbkit.questions.growth import measure_growth
from nbkit.questions.measured import Measured
from nbkit.questions.weights import measure_jacobian, measure_weights
from nbkit.questions.wires import measure_paths, measure_reach, measure_wires

__all__ = ["MEASURES", "Measured", "measure", "stream_measure"]

_STREAMS: dict[str, Callable[[Configuration], Iterator[Measured]]] = {
    "reach": measure_reach,
    "paths": measure_paths,
    "wires' spectrum": measure_wires,
    "weights' spectrum": measure_weights,
    "Jacobian": measure_jacobian,
    "growth": measure_growth,
    "compression": measure_compression,
    "budget": measure_budget,
}
MEASURES = tuple(_STREAMS)


def stream_measure(configuration: Configuration, measure: str) -> Iterator[Measured]:
    """A measure of a configuration: at once what is known without drawing anything, then better and better.

    The last one depends on the configuration alone.

    Args:
        configuration: of the lab.
        measure: of `MEASURES`.

    Raises:
        NbkitError: at the first `next`: no Configuration, another measure.

    Example:
        >>> *_, last = stream_measure(Configuration("RadiX", width=16, degree=4, depth=2), "reach")
        >>> last.y.tolist(), last.numbers["dead"]
        ([0.25, 1.0], 0)
    """
    if not isinstance(configuration, Configuration):
        raise NbkitError(
            f"stream_measure: configuration must be a Configuration, got {show(configuration)}. Use Configuration()."
        )
    stream = _STREAMS[check_choice("stream_measure", "measure", measure, MEASURES)](configuration)
    while True:
        with one_thread():  # never around a yield: the number of threads belongs to the process
            found = next(stream, None)
        if found is None:
            return
        yield found


def measure(configuration: Configuration, measure: str) -> Measured:
    """The last of `stream_measure`."""
    *_, last = stream_measure(configuration, measure)
    return last
