"""Widgets with scripts of their own that hear the kernel however late a busy page has loaded their script."""

from __future__ import annotations

import uuid
from typing import Any

import anywidget
import traitlets

__all__ = ["HEAR", "Hearing"]

# anywidget gives a script two seconds to load; a model whose script comes later is drawn, but each message to it is
# refused for good. `initialize: hear` listens in its place then, and tells the kernel that something was missed.
HEAR = """function hear({ model }) {
  model.widget_manager.get_model(model.get('_own_id')).then(own => own._handle_comm_msg({ content: { data: {} } }).catch(() => {
    const handle = Object.getPrototypeOf(own.constructor.prototype)._handle_comm_msg;
    own.comm.on_msg(message => handle.call(own, message)); model.send({ missed: true }); })); }
"""
_SCRIPTS = {"_esm", "_css", "_anywidget_id"}


class Hearing(anywidget.AnyWidget):
    """An anywidget whose script begins with HEAR and initializes with `hear`; the page may ask for what it missed."""

    _own_id = traitlets.Unicode().tag(sync=True)  # a script is not told which model is its own

    def open(self) -> None:
        if self.comm is None:
            self._own_id = self._model_id = uuid.uuid4().hex
        super().open()

    def _handle_custom_msg(self, content: Any, buffers: Any) -> None:
        if content == {"missed": True}:
            self._say_all()
        super()._handle_custom_msg(content, buffers)

    def _say_all(self) -> None:
        self.send_state(set(self.keys) - _SCRIPTS)
