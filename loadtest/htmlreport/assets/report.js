"use strict";
(() => {
  const body = document.body, root = document.documentElement;
  let faults = 0, pressed = new Map(), plots = new Map();
  // The marks let a test see what happened here.
  const mark = () => {
    body.dataset.rendered = String(plots.size);
    body.dataset.errors = String(faults);
  };
  const fault = () => { faults++; mark(); };
  addEventListener("error", fault);
  addEventListener("unhandledrejection", fault);
  addEventListener("securitypolicyviolation", fault);

  let charts = JSON.parse(document.getElementById("data").textContent) || [];
  const css = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();

  // Numbers read as in the tables, which are written in Go.
  const duration = (ns) => {
    const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(ns, 1))) - 3), v = Math.round(ns / unit) * unit;
    const text = (by, name) => String(+(v / by).toPrecision(9)) + name;
    if (v === 0) return "0s";
    if (v < 1e3) return text(1, "ns");
    if (v < 1e6) return text(1e3, "µs");
    if (v < 1e9) return text(1e6, "ms");
    const h = Math.floor(v / 3600e9), m = Math.floor(v / 60e9);
    return (h ? h + "h" : "") + (m ? m % 60 + "m" : "") + String(+(v / 1e9 - 60 * m).toPrecision(9)) + "s";
  };
  const size = (v, text) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let i = 0;
    for (; i < units.length - 1 && v >= (i ? 1023.95 : 1024); i++) v /= 1024;
    return (i ? text(v) : Math.round(v)) + " " + units[i];
  };
  const rate = (v) => v >= 99.95 ? Math.round(v).toLocaleString("en") : String(+v.toPrecision(3));
  const share = (v) => v > 0 && v < 1e-5 ? "< 0.001 %" : v > 0.999 && v < 1 ? "> 99.9 %" : String(+(100 * v).toPrecision(3)) + " %";
  const format = (unit, v) => {
    if (v == null) return "–";
    switch (unit) {
      case "ns": return duration(v);
      case "bytes": return size(v, (f) => f.toFixed(1));
      case "rate": return rate(v) + "/s";
      case "share": return share(v);
      default: return rate(v);
    }
  };
  const grouped = (v) => v.toLocaleString("en", { maximumFractionDigits: 6 });
  const tick = (unit, v) => unit === "ns" ? duration(v) : unit === "bytes" ? size(v, (f) => String(+f.toPrecision(6))) : unit === "share" ? String(+(100 * v).toPrecision(6)) + " %" : grouped(v);
  // x = 1/(1-q): 1 is 0 %, 2 is 50 %, 10 is 90 %, 100 is 99 % …
  const percent = (x) => {
    const nines = Math.log10(x);
    return (100 - 100 / x).toFixed(Math.max(0, Math.ceil(nines) - 2 + (nines % 1 ? 1 : 0))) + " %";
  };
  // What there is on an x axis: the name of a value, what it reads as, and what at a tick.
  const xs = {
    time: { name: "time", value: (v) => v.toFixed(2) + " s", tick: (v) => String(+v.toPrecision(6)) + " s" },
    percentile: { name: "percentile", value: percent, tick: percent },
    trial: { name: "trial", value: (v) => v % 1 ? "–" : String(v), tick: String },
    rate: { name: "rate", value: (v) => format("rate", v), tick: grouped },
  };
  const bytes = [], whole = [];
  for (let i = 0; i < 45; i++) bytes.push(2 ** i);
  for (let i = 1; i < 1e12; i *= 10) whole.push(i, 2 * i, 5 * i);

  const axes = (c, log) => {
    const font = "12px system-ui, -apple-system, Segoe UI, Roboto, sans-serif";
    const look = { stroke: css("soft"), font, grid: { stroke: css("grid"), width: 1 }, ticks: { stroke: css("grid"), width: 1, size: 5 } };
    const x = { ...look, space: 60, size: 32 };
    if (c.x === "percentile") {
      x.splits = (u, _, min, max) => {
        const out = [];
        for (let d = 1; d <= max * 1.0001; d *= 10) { out.push(d); if (d === 1 && u.width > 560) out.push(2); }
        return out.filter((v) => v >= min * 0.9999);
      };
      x.filter = (u, s) => s;
    }
    x.values = (u, s) => s.map((v) => v == null ? "" : xs[c.x].tick(v));
    if (c.x === "trial") x.incrs = whole;
    const y = { ...look, values: (u, s) => s.map((v) => v == null ? "" : tick(c.unit, v)), size: 64 };
    if (c.unit === "bytes") y.incrs = bytes;
    if (c.unit === "count") y.incrs = whole;
    return [x, y];
  };

  // What the reader has done to a plot, for the one that takes its place.
  const state = (u) => {
    const { min, max } = u.scales.x, x = u.data[0];
    return {
      zoom: x.length && (min > x[0] || max < x[x.length - 1]) ? { min, max } : null,
      hidden: u.series.filter((s) => !s.show).map((s) => s.label),
      cursor: { left: u.cursor.left, top: u.cursor.top },
    };
  };

  const build = (c, before) => {
    const box = document.getElementById("chart-" + c.id);
    const log = pressed.has(c.id) ? pressed.get(c.id) : c.log;
    const lift = (v) => log && v != null && v <= 0 ? c.least || 1 : v; // a logarithm has no zero: 1 ns is the least
    // "undefined" marks an x that only another line has, null a gap.
    const raw = uPlot.join(c.series.map((s) => [s.x, s.y])), data = raw.map((v, k) => k ? v.map(lift) : v);
    const dark = root.dataset.theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches;
    const step = c.step ? uPlot.paths.stepped({ align: 1 }) : undefined;
    const last = (u, i) => { // what the line shows at an x of another line
      while (c.step && i > 0 && raw[u][i] === undefined) i--;
      return raw[u][i];
    };
    const series = c.series.map((s, k) => ({
      label: s.label, show: !before?.hidden.includes(s.label), stroke: css(s.color), width: 2, spanGaps: false, paths: s.points ? () => null : step,
      dash: s.dash ? [6, 4] : undefined,
      fill: s.fill ? css(s.color) + (dark ? "33" : "22") : undefined,
      points: s.points ? { show: true, size: 9, width: 2, fill: css(s.points === "full" ? s.color : "card") } : { show: c.x === "time" && !c.step && s.x.length <= 60, size: 5 },
      value: (u, v, _, i) => format(c.unit, i == null ? null : last(k + 1, i)),
    }));
    const size = () => ({ width: box.clientWidth, height: box.closest(".wide") ? 270 : 200 });
    const u = new uPlot({
      ...size(),
      series: [{
        label: xs[c.x].name,
        value: (u, v) => v == null ? "–" : xs[c.x].value(v),
      }, ...series],
      axes: axes(c, log),
      scales: {
        x: c.x === "percentile" || c.logX ? { time: false, distr: 3 } : { time: false },
        y: log ? { distr: 3 } : { range: c.range || ((u, min, max) => max == null ? [0, 1] : [0, max > 0 ? max * 1.08 : 1]) },
      },
      padding: [null, 28, null, null], // room for half of the last tick's text, such as 99.999 %
      hooks: { drawClear: [(u) => {
        for (const s of c.shade || []) {
          if (s.to < u.scales.x.min || s.from > u.scales.x.max) continue;
          const at = (x) => Math.min(Math.max(u.valToPos(x, "x", true), u.bbox.left), u.bbox.left + u.bbox.width);
          u.ctx.fillStyle = css(s.color) + "33";
          u.ctx.fillRect(at(s.from), u.bbox.top, s.to > s.from ? Math.max(at(s.to) - at(s.from), 0) : 2, u.bbox.height);
        }
      }] },
      cursor: { y: false, focus: { prox: 24 }, sync: c.x === "time" || c.x === "rate" ? { key: c.x } : undefined },
      focus: { alpha: 0.35 },
    }, data, box);
    box.dataset.xscale = u.scales.x.distr === 3 ? "log" : "linear";
    box.dataset.yscale = u.scales.y.distr === 3 ? "log" : "linear";
    if (before?.zoom) u.setScale("x", before.zoom);
    if (before?.cursor.left >= 0) u.setCursor(before.cursor);
    plots.set(c.id, { u, fit: () => { if (box.clientWidth !== u.width) u.setSize(size()); } });
  };
  const draw = (c) => {
    const old = plots.get(c.id), before = old && state(old.u);
    if (old) old.u.destroy();
    plots.delete(c.id);
    try { build(c, before); } catch (e) { fault(); console.error(e); }
    mark();
  };
  const drawAll = () => charts.forEach(draw);

  const bind = () => {
    for (const b of document.querySelectorAll("button[data-for]")) {
      const c = charts.find((c) => c.id === b.dataset.for);
      b.hidden = false;
      if (pressed.has(c.id)) b.setAttribute("aria-pressed", String(pressed.get(c.id)));
      b.addEventListener("click", () => {
        const on = b.getAttribute("aria-pressed") !== "true";
        b.setAttribute("aria-pressed", String(on));
        pressed.set(c.id, on);
        draw(c);
      });
    }
  };
  bind();
  drawAll();
  mark();
  // Of a run that goes on: the page has been filled anew.
  document.addEventListener("charts", (e) => {
    charts = e.detail;
    for (const [id, p] of plots) if (!charts.some((c) => c.id === id)) { p.u.destroy(); plots.delete(id); }
    bind();
    drawAll();
    mark();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  // Paper is white, and narrower than most screens.
  addEventListener("beforeprint", () => { root.dataset.theme = "light"; drawAll(); });
  addEventListener("afterprint", () => { delete root.dataset.theme; drawAll(); });
  let queued = 0;
  new ResizeObserver(() => {
    cancelAnimationFrame(queued);
    queued = requestAnimationFrame(() => plots.forEach((p) => p.fit()));
  }).observe(document.querySelector("main"));
})();
