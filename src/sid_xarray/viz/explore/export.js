// The app without Python. `meta` says what is where; `which` figure was touched; events of bokeh are in `cb_obj`.
const {ny, nx, vs, hs, y, x, sy, sx, rows, columns, curve, units_y, units_x, label_y, label_x, flip, units_s, radius} = JSON.parse(meta);
const c = cube.data.v, ns = vs * hs;
const near = (list, at) => { let k = 0; list.forEach((v, i) => { if (Math.abs(v - at) < Math.abs(list[k] - at)) k = i }); return k };
const limits = (a) => { let lo = Infinity, hi = -Infinity; for (const v of a) if (Number.isFinite(v)) { lo = Math.min(lo, v); hi = Math.max(hi, v) } return hi > lo ? [lo, hi] : [lo - 0.5, lo + 0.5] };
const paint = (source, values, h, w, mapper, order) => {
  const out = new Float32Array(h * w);
  for (let j = 0; j < h; j++) for (let i = 0; i < w; i++) out[j * w + i] = values[order[0][j] * w + order[1][i]];
  const old = source.data.image ?? source.data.get('image');
  old[0].set(out); const [low, high] = limits(out); mapper.setv({low, high}); source.change.emit() };
const show = (pixels, j, i) => {
  const s = new Float64Array(ns);
  for (const p of pixels) for (let k = 0; k < ns; k++) s[k] += c[p * ns + k] / pixels.length;
  if (curve) {
    const y1 = Float64Array.from(curve, (k) => s[k]); line.data = {x: line.data.x ?? line.data.get('x'), y: y1};
    const [low, high] = limits(y1), pad = 0.05 * (high - low); range.setv({start: low - pad, end: high + pad});
  } else paint(pattern, s, vs, hs, pattern_mapper, [rows, columns]);
  title.text = pixels.length > 1 ? `mean of ${pixels.length} px`
    : `${label_x} = ${+x[i].toPrecision(4)} ${units_x}, ${label_y} = ${+y[j].toPrecision(4)} ${units_y}` };
const map = (inside) => {
  if (!inside.length) return;
  const m = new Float32Array(ny * nx);
  for (let p = 0; p < ny * nx; p++) { let s = 0; for (const k of inside) s += c[p * ns + k]; m[p] = s / inside.length }
  paint(image, m, ny, nx, mapper, flip) };
const g = cb_obj.geometry;
if (which == 'map' && cb_obj.event_name == 'tap') {
  const j = near(y, cb_obj.y), i = near(x, cb_obj.x); show([j * nx + i], j, i);
  points.data = {x: [x[i]], y: [y[j]], colour: ['#D55E00']}; lines.data = {xs: [], ys: [], colour: []};
} else if (which == 'map' && cb_obj.final && g.type == 'rect') {
  const pixels = []; const [x0, x1, y0, y1] = [Math.min(g.x0, g.x1), Math.max(g.x0, g.x1), Math.min(g.y0, g.y1), Math.max(g.y0, g.y1)];
  for (let j = 0; j < ny; j++) for (let i = 0; i < nx; i++) if (x[i] >= x0 && x[i] <= x1 && y[j] >= y0 && y[j] <= y1) pixels.push(j * nx + i);
  if (pixels.length) { show(pixels, 0, 0); points.data = {x: [], y: [], colour: []};
    lines.data = {xs: [[x0, x1, x1, x0, x0]], ys: [[y0, y0, y1, y1, y0]], colour: ['#D55E00']} }
} else if (which == 'signal' && curve && cb_obj.final && g.type == 'rect') {
  const inside = []; sx.forEach((v, k) => { if (v >= Math.min(g.x0, g.x1) && v <= Math.max(g.x0, g.x1)) inside.push(k) }); map(inside);
  if (inside.length) { band.setv({visible: true, left: Math.min(g.x0, g.x1), right: Math.max(g.x0, g.x1)});
    heading.text = `mean of ${+band.left.toPrecision(4)} … ${+band.right.toPrecision(4)} ${units_s}` }
} else if (which == 'signal' && !curve && (cb_obj.event_name == 'tap' || (cb_obj.final && g.type == 'rect'))) {
  const inside = []; const r = radius;
  const box = cb_obj.event_name != 'tap';
  for (let a = 0; a < vs; a++) for (let b = 0; b < hs; b++) {
    const ok = box ? sx[b] >= Math.min(g.x0, g.x1) && sx[b] <= Math.max(g.x0, g.x1) && sy[a] >= Math.min(g.y0, g.y1) && sy[a] <= Math.max(g.y0, g.y1)
      : Math.hypot(sx[b] - cb_obj.x, sy[a] - cb_obj.y) <= r;
    if (ok) inside.push(a * hs + b) }
  map(inside); heading.text = `mean in the ${box ? 'box' : 'aperture'}`;
  const t = Array.from({length: 73}, (_, k) => k * Math.PI / 36);
  aperture.data = box ? {xs: [[g.x0, g.x1, g.x1, g.x0, g.x0]], ys: [[g.y0, g.y0, g.y1, g.y1, g.y0]], colour: ['#56B4E9']}
    : {xs: [t.map((v) => cb_obj.x + r * Math.cos(v))], ys: [t.map((v) => cb_obj.y + r * Math.sin(v))], colour: ['#56B4E9']};
}
