"""The harness itself: a cell runs, a slider is dragged, a number comes back."""


def test_a_notebook_runs_and_its_slider_is_dragged(open_notebook):
    notebook = open_notebook(["import ipywidgets\nslider = ipywidgets.IntSlider(0, 0, 10)\nslider", "1 / 0"])
    notebook.run_all()
    assert notebook.errors() == ["cell 1: ZeroDivisionError: division by zero"]
    notebook.wait_for("document.querySelector('.widget-slider .noUi-handle')")
    notebook.drag(notebook.page.locator(".widget-slider").first, moves=5)
    notebook.wait_idle()
    assert notebook.python("import json; print(json.dumps(slider.value))") == 10
    assert notebook.screenshot("harness").stat().st_size > 10_000
