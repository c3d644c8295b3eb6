"""The picture of a fit holds the function, the fit and the errors, the latter on logarithmic axes."""

import numpy as np

from nbkit.figures import fit_figure, fit_traces

X = np.linspace(0, 1, 5)


def test_the_traces_are_function_fit_and_errors():
    figure = fit_figure(X, X**2, X, [1, 2], [0.25, 0.1], title="a finding")
    assert [trace.name for trace in figure.data] == ["f", "G", "error"]
    for trace, values in zip(figure.data, (X**2, X, [0.25, 0.1]), strict=True):
        assert np.array_equal(trace.y, values)
    assert figure.data[0].line.dash == "dash" and figure.data[1].line.dash is None
    assert figure.layout.xaxis2.type == figure.layout.yaxis2.type == "log"
    assert "log" in figure.layout.xaxis2.title.text and "log" in figure.layout.yaxis2.title.text


def test_arrays_update_the_picture_in_place():
    figure = fit_figure(X, X, X, [1], [1.0])
    for trace, values in zip(figure.data, fit_traces(X, -X, X / 2, [1, 2, 4], [3, 2, 1]), strict=True):
        trace.update(values)
    assert np.array_equal(figure.data[0].y, -X) and list(figure.data[2].x) == [1, 2, 4]
