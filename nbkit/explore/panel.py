"""How an explorer is laid out: controls in one column, the picture right of them, a status line below."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import ipywidgets
from ipywidgets import Button, HBox, ToggleButton, VBox

from nbkit.explore.controls import Control, Slider
from nbkit.explore.listed import ListedSlider

__all__ = ["Panel", "close_widgets"]

IN_VIEW = 7  # controls before the rest is folded
PLAY_INTERVAL_MS = 400
MENU = {
    "reset": "back to how it was opened",
    "copy settings": "copy a call that recreates this view",
    "picture": "save what is seen as PNG",
    "page": "save a page that draws offline",
    "data": "save the last frame as CSV",
}


class Panel:
    """The widgets around a picture. It knows no stream: the explorer listens to its buttons and tells it what to say.

    `root` is what is displayed; `presets`, `menu`, `hold`, `pause`, `stop` are the buttons.
    """

    def __init__(
        self,
        groups: Mapping[str, Sequence[Control]],
        controls: Mapping[str, ipywidgets.Widget],
        presets: Iterable[str],
        pictures: Sequence[ipywidgets.Widget],
        *,
        can_hold: bool,
    ) -> None:
        self._links: list[ipywidgets.Widget] = []
        self._plays: list[ipywidgets.Play] = []
        self.presets = {name: _button(name, f"set {name}") for name in presets}
        self.menu = {name: _button(name, tip) for name, tip in MENU.items()}
        self.hold = ToggleButton(description="hold", tooltip="keep these curves as a ghost", layout={"width": "auto"})
        self.pause = ToggleButton(description="pause", tooltip="hold the stream", layout={"width": "auto"})
        self.stop = _button("stop", "end the stream with what is drawn")
        self._status = ipywidgets.HTML(layout={"flex": "1 1 auto", "min_width": "0", "margin": "0"})
        self._running = HBox([self.pause, self.stop], layout={"flex": "0 0 auto", "visibility": "hidden"})
        column = VBox(
            [*self._rows(groups, controls), self._buttons(can_hold)],
            layout={"flex": "0 0 304px", "padding": "0 8px 0 0", "overflow": "hidden"},
        )
        right = VBox(pictures, layout={"flex": "1 1 340px", "min_width": "0", "overflow": "hidden"})
        self.root = VBox(
            [
                HBox([column, right], layout={"flex_flow": "row wrap", "align_items": "flex-start"}),
                HBox([self._status, self._running], layout={"align_items": "center"}),
            ]
        )
        self.root.add_class("nbkit-explorer")

    def say(self, text: str, *, is_error: bool = False) -> None:
        """Write the status line; it has room for two lines, so that an error moves nothing."""
        kind = "nbkit-status nbkit-error" if is_error else "nbkit-status"
        words = html.escape(text)
        self._status.value = f'<div class="{kind}" role="status" title="{words}">{words}</div>'

    def offer_stop(self, offered: bool) -> None:
        """Show or hide Pause and Stop, whose place is kept free."""
        wanted = "visible" if offered else "hidden"
        if self._running.layout.visibility != wanted:
            self._running.layout.visibility = wanted
            self.pause.value = False

    def stop_playing(self) -> None:
        """Stop the play buttons, which would go on from where they are."""
        for play in self._plays:
            play.playing = False

    def close(self) -> None:
        """Close every widget of the panel."""
        close_widgets(self.root, *self._links)

    def _rows(
        self, groups: Mapping[str, Sequence[Control]], controls: Mapping[str, ipywidgets.Widget]
    ) -> list[ipywidgets.Widget]:
        seen: list[ipywidgets.Widget] = []
        folded: list[ipywidgets.Widget] = []
        n_seen = 0
        for word, group in groups.items():
            for position, control in enumerate(group):
                rows = seen if n_seen < IN_VIEW else folded
                if position == 0 or (rows is folded and not folded):
                    rows.append(ipywidgets.HTML(f'<div class="nbkit-word">{html.escape(word)}</div>'))
                rows.append(controls[control.name])
                if isinstance(control, Slider) and control.play:
                    rows.append(self._play(control, controls[control.name]))
                n_seen += 1
        if folded:
            seen.append(ipywidgets.Accordion([VBox(folded)], titles=("more",), selected_index=None))
        return seen

    def _play(self, control: Slider, slider: ipywidgets.Widget) -> ipywidgets.Widget:
        track = slider.slider if isinstance(slider, ListedSlider) else slider
        play = ipywidgets.Play(min=track.min, max=track.max, step=track.step, interval=PLAY_INTERVAL_MS)
        # both ways; the slider comes first and tells the button where to start
        self._links += [ipywidgets.jslink((track, what), (play, what)) for what in ("value", "min", "max")]
        play.layout.margin = "0 0 0 96px"
        self._plays.append(play)
        return play

    def _buttons(self, can_hold: bool) -> ipywidgets.Widget:
        opener = ToggleButton(description="menu", tooltip="reset, copy, save", layout={"width": "auto"})
        menu = HBox(list(self.menu.values()), layout={"flex_flow": "row wrap", "visibility": "hidden"})

        menu.add_class("nbkit-menu")

        def show_menu(change: Mapping[str, Any]) -> None:
            menu.layout.visibility = "visible" if change["new"] else "hidden"

        opener.observe(show_menu, "value")
        rows: list[ipywidgets.Widget] = []
        if self.presets:
            rows.append(ipywidgets.HTML('<div class="nbkit-word">presets</div>'))
            rows.append(HBox(list(self.presets.values()), layout={"flex_flow": "row wrap"}))
        self.hold.layout.display = None if can_hold else "none"
        rows += [HBox([self.hold, opener], layout={"margin": "8px 0 0 0"}), menu]
        return VBox(rows)


def close_widgets(*roots: ipywidgets.Widget) -> None:
    """Close widgets with all they hold: children, layouts, styles; a plain close() leaves those behind."""
    found: dict[int, ipywidgets.Widget] = {}
    waiting = list(roots)
    while waiting:
        item = waiting.pop()
        if isinstance(item, (list, tuple)):
            waiting.extend(item)
        elif isinstance(item, ipywidgets.Widget) and id(item) not in found:
            found[id(item)] = item
            waiting.extend(item._trait_values.values())  # only what exists: reading a trait would make its default
    for widget in found.values():
        widget.close()


def _button(name: str, tip: str) -> Button:
    return Button(description=name, tooltip=tip, layout={"width": "auto"})
