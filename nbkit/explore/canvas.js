// A 0/1 or uint8 matrix on a canvas: hover, zoom, pan, keyboard. The data come bit-packed or as bytes, row after row.
const page = `<div class="nbkit-title"></div><div class="nbkit-columns"></div><div class="nbkit-middle"><div class="nbkit-rows"></div>
<div class="nbkit-box"><canvas tabindex="0" role="application" data-lm-suppress-shortcuts="true"></canvas></div></div>
<div class="nbkit-says" aria-live="polite"></div>`;
function render({ model, el }) {
  el.classList.add('nbkit-matrix');
  el.innerHTML = page;
  const part = name => el.querySelector('.nbkit-' + name), canvas = el.querySelector('canvas');
  const context = canvas.getContext('2d'), source = document.createElement('canvas');
  const ink = source.getContext('2d', { willReadFrequently: true });  // kept in memory: putImageData is then a copy
  let bytes = new Uint8Array(0), bits = true, rows = 0, columns = 0, image = null, pixels = null;
  let zoom = 1, left = 0, top = 0;                      // entries per box: the view's corner, in entries
  let cursor = null, drag = null, frame = 0, timer = 0, sent = 0;
  const read = i => bits ? (bytes[i >> 3] >> (7 - (i & 7))) & 1 : bytes[i], value = (row, column) => read(row * columns + column);
  function unpack() {
    const data = model.get('data'), size = model.get('shape'), lut = model.get('colours');
    bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const colours = new Uint32Array(lut.buffer.slice(lut.byteOffset, lut.byteOffset + lut.byteLength));
    if (size[0] !== rows || size[1] !== columns) {
      [rows, columns] = size;
      source.width = columns; source.height = rows; image = ink.createImageData(columns, rows);
      pixels = new Uint32Array(image.data.buffer);
      zoom = 1; left = top = 0; cursor = null; shape();
    }
    bits = colours.length === 2;
    const n = rows * columns;
    if (bits) {
      const [zero, one] = colours;
      for (let i = 0, at = 0; at < n; i++) {
        const byte = bytes[i], end = Math.min(at + 8, n);
        for (let mask = 128; at < end; mask >>= 1) pixels[at++] = byte & mask ? one : zero;
      }
    } else for (let i = 0; i < n; i++) pixels[i] = colours[bytes[i]];
    ink.putImageData(image, 0, 0);
  }
  // The box stays; the canvas takes as much of it as square entries need, but a quarter of each side at least.
  function shape() {
    const across = model.get('width') / columns, down = model.get('height') / rows, unit = Math.min(across, down);
    canvas.style.width = `${100 * Math.max(unit / across, 0.25)}%`; canvas.style.height = `${100 * Math.max(unit / down, 0.25)}%`;
  }
  function view() {                                     // device px per entry and where entry (0, 0) begins
    const x = canvas.width / columns * zoom, y = canvas.height / rows * zoom;
    left = Math.max(0, Math.min(left, columns - canvas.width / x)); top = Math.max(0, Math.min(top, rows - canvas.height / y));
    return { x, y, x0: -left * x, y0: -top * y };
  }
  function paint() {
    frame = 0;
    if (!columns || !canvas.width) return;
    const { x, y, x0, y0 } = view();
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = x < 1 || y < 1;     // averaged when smaller than a device pixel, sharp otherwise
    context.drawImage(source, x0, y0, columns * x, rows * y);
    context.strokeStyle = '#D55E00'; context.lineWidth = 2;
    const lit = [model.get('lit_row'), model.get('lit_column')];
    if (lit[0] !== null) context.strokeRect(x0, y0 + lit[0] * y - 1, columns * x, y + 2);
    if (lit[1] !== null) context.strokeRect(x0 + lit[1] * x - 1, y0, x + 2, rows * y);
    if (cursor) context.strokeRect(x0 + cursor[1] * x - 1, y0 + cursor[0] * y - 1, Math.max(x, 3) + 2, Math.max(y, 3) + 2);
    const last = (first, size, count) => Math.min(count, Math.ceil(first + size)) - 1;
    part('rows').textContent = `${model.get('row_label')} (${Math.floor(top)}–${last(top, canvas.height / y, rows)}) →`;
    part('columns').textContent = `${model.get('column_label')} (${Math.floor(left)}–${last(left, canvas.width / x, columns)}) →`;
  }
  const repaint = () => { frame = frame || requestAnimationFrame(paint); };
  function send() {                                     // at most ten times a second, the last one always
    clearTimeout(timer);
    const wait = sent + 100 - performance.now();
    if (wait > 0) { timer = setTimeout(send, wait); return; }
    sent = performance.now();
    model.set('hovered', cursor && [...cursor, value(...cursor)]);
    model.save_changes();
  }
  function say() {
    part('says').textContent = cursor
      ? `${model.get('row_label')} ${cursor[0]} · ${model.get('column_label')} ${cursor[1]} · ${value(...cursor)}`
      : `${rows} × ${columns}: hover, wheel or + − to zoom, drag, 0 to reset${model.get('legend')}`;
  }
  function point(to) {
    if (String(to) === String(cursor)) return;
    cursor = to; say(); send(); repaint();
  }
  function refresh() {
    if (!model.get('shape')[0]) return;                 // nothing shown yet
    const had = cursor;
    unpack();
    part('title').textContent = model.get('title');
    canvas.setAttribute('aria-label', `${model.get('title') || 'matrix'}: ${rows} rows, ${columns} columns. Arrow keys read the entries.`);
    say(); paint();
    if (had) send();
  }
  const inside = event => {                             // the middle of the device px under the pointer: what is painted is what is read
    const box = canvas.getBoundingClientRect(), ratio = canvas.width / box.width;
    return [event.clientX - box.left, event.clientY - box.top].map(px => Math.floor(px * ratio) + 0.5);
  };
  function entry(event) {
    const [px, py] = inside(event), { x, y, x0, y0 } = view();
    const row = Math.floor((py - y0) / y), column = Math.floor((px - x0) / x);
    return row >= 0 && row < rows && column >= 0 && column < columns ? [row, column] : null;
  }
  function zoomed(factor, px, py) {
    const before = view(), to = Math.max(1, Math.min(zoom * factor, Math.max(rows, columns) / 4));
    left += px / before.x * (1 - zoom / to); top += py / before.y * (1 - zoom / to); zoom = to;
    repaint();
  }
  const reset = () => { zoom = 1; left = top = 0; repaint(); }, listen = (name, does) => canvas.addEventListener(name, does);
  listen('wheel', event => {
    if (zoom === 1 && event.deltaY > 0) return;         // nothing left to zoom out of: the page scrolls
    event.preventDefault(); zoomed(Math.exp(-event.deltaY / 300), ...inside(event)); point(entry(event));
  });
  listen('pointerdown', event => { drag = inside(event); canvas.setPointerCapture(event.pointerId); });
  listen('pointermove', event => {
    if (drag) {
      const [px, py] = inside(event), { x, y } = view();
      left -= (px - drag[0]) / x; top -= (py - drag[1]) / y; drag = [px, py];
    }
    point(entry(event)); if (drag) repaint();
  });
  listen('pointerup', () => { drag = null; }); listen('pointerleave', () => { if (!drag) point(null); });
  listen('dblclick', event => { reset(); point(entry(event)); });
  listen('keydown', event => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (move) {
      const [row, column] = cursor ? [cursor[0] + move[0], cursor[1] + move[1]] : [0, 0];
      point([Math.max(0, Math.min(rows - 1, row)), Math.max(0, Math.min(columns - 1, column))]);
      const { x, y } = view();                          // the view follows the cursor
      left = Math.min(cursor[1], Math.max(left, cursor[1] + 1 - canvas.width / x));
      top = Math.min(cursor[0], Math.max(top, cursor[0] + 1 - canvas.height / y));
      repaint();
    } else if ('+=-'.includes(event.key)) {
      const { x, y, x0, y0 } = view(), at = cursor || [top + canvas.height / y / 2, left + canvas.width / x / 2];
      zoomed(event.key === '-' ? 1 / 1.5 : 1.5, x0 + at[1] * x, y0 + at[0] * y);
    } else if (event.key === '0') reset();
    else if (event.key === 'Escape') point(null);
    else return;
    event.preventDefault(); event.stopPropagation();
  });
  const fit = new ResizeObserver(() => {
    canvas.width = Math.round(canvas.clientWidth * devicePixelRatio); canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
    paint();
  });
  part('box').style.cssText = `width: ${model.get('width')}px; aspect-ratio: ${model.get('width')} / ${model.get('height')}`;
  fit.observe(canvas);
  const heard = [['change:frame', refresh], ['change:lit_row', repaint], ['change:lit_column', repaint]];
  heard.forEach(pair => model.on(...pair)); refresh();
  return () => { fit.disconnect(); clearTimeout(timer); cancelAnimationFrame(frame); heard.forEach(pair => model.off(...pair)); };
}
export default { initialize: hear, render };
