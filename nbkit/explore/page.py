"""What only the page itself can do: follow its width, save a file, fill the clipboard. The rest is Python."""

from __future__ import annotations

from nbkit.explore.hearing import HEAR, Hearing

__all__ = ["Page"]


class Page(Hearing):
    """An invisible strip as wide as the picture; it tells plotly when the width changes and does as it is told."""

    _esm = (
        HEAR
        + """
    function save(name, href) { const a = document.createElement('a'); a.href = href; a.download = name; a.click(); }
    export default { initialize: hear, render({model, el}) {
      let width = 0, timer;
      const watch = new ResizeObserver(([entry]) => {
        if (entry.contentRect.width === width || !entry.contentRect.width) return;
        width = entry.contentRect.width; clearTimeout(timer);
        timer = setTimeout(() => window.dispatchEvent(new Event('resize')), 50); });
      watch.observe(el);
      const obey = message => {
        const root = el.closest('.nbkit-explorer');
        if (!root) return;
        if (message.copy) navigator.clipboard?.writeText(message.copy);
        if (message.save) { const url = URL.createObjectURL(new Blob([message.text], {type: message.type}));
          save(message.save, url); setTimeout(() => URL.revokeObjectURL(url), 10000); }
        if (message.picture) {
          for (const button of root.querySelectorAll('.modebar-btn[data-title^="Download plot"]')) button.click();
          root.querySelectorAll('canvas').forEach((canvas, i) => { if (!canvas.closest('.js-plotly-plot'))
            canvas.toBlob(blob => { const url = URL.createObjectURL(blob); save(`${message.picture}-${i + 1}.png`, url);
                                    setTimeout(() => URL.revokeObjectURL(url), 10000); }); }); } };
      model.on('msg:custom', obey);
      return () => { watch.disconnect(); model.off('msg:custom', obey); };
    } };
    """
    )
    _css = """
    .nbkit-explorer { width: 100%; box-sizing: border-box; }
    .nbkit-explorer .nbkit-word { font-size: 11px; letter-spacing: .06em; text-transform: uppercase;
      color: color-mix(in srgb, currentcolor 65%, transparent); line-height: 18px; margin: 6px 0 0; }
    .nbkit-explorer .nbkit-status { font-size: 12px; line-height: 17px; height: 34px; overflow: auto;
      color: color-mix(in srgb, currentcolor 85%, transparent); }
    .nbkit-explorer .nbkit-error { color: #B34700; font-weight: 600; }
    [data-jp-theme-light="false"] .nbkit-explorer .nbkit-error { color: #FF9A57; }
    .nbkit-explorer .js-plotly-plot { width: 100%; }
    /* a layer for each handle, and one more for what lies above it, would cost a page of many sliders half its painting */
    .nbkit-explorer :is(.noUi-connect, .noUi-origin, .noUi-handle) { will-change: auto; backface-visibility: visible; }
    .nbkit-explorer .widget-readout { min-width: 46px; }
    .nbkit-explorer .widget-text { flex-direction: column; height: auto; align-items: stretch; }
    .nbkit-explorer .widget-text > .widget-label { text-align: left; width: auto !important; padding-left: 2px; }
    .nbkit-explorer .nbkit-menu button { font-size: 11px; padding: 0 6px; }
    .nbkit-explorer button:focus-visible { outline: 2px solid #0072B2; }
    """

    def copy(self, text: str) -> None:
        """Put text into the reader's clipboard, where the browser lets us."""
        self.send({"copy": text})

    def save(self, name: str, text: str, kind: str) -> None:
        """Download text as a file of the mime type `kind`."""
        self.send({"save": name, "text": text, "type": kind})

    def save_picture(self, name: str) -> None:
        """Download what is seen now as PNG: plotly's picture and each canvas."""
        self.send({"picture": name})
