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

  const charts = JSON.parse(document.getElementById("data").textContent) || [];
  const css = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();

  const digits = (v) => {
    const a = Math.abs(v);
    return a < 9.995 ? v.toFixed(2) : a < 99.95 ? v.toFixed(1) : Math.round(v).toLocaleString("en");
  };
  const short = (v) => String(+v.toPrecision(6));
  const scaled = (v, base, units, text) => {
    let i = 0;
    for (; i < units.length - 1 && Math.abs(v) >= base; i++) v /= base;
    return text(v) + " " + units[i];
  };
  const format = (unit, v, text) => {
    if (v == null) return "–";
    if (v === 0) return "0";
    switch (unit) {
      case "ns": return scaled(v, 1000, ["ns", "µs", "ms", "s"], text);
      case "bytes": return scaled(v, 1024, ["B", "KiB", "MiB", "GiB", "TiB"], text);
      case "rate": return text(v) + "/s";
      default: return text(v);
    }
  };
  const grouped = (v) => v.toLocaleString("en", { maximumFractionDigits: 6 });
  const tick = (unit, v) => unit === "rate" || unit === "count" ? grouped(v) : format(unit, v, short);
  // x = 1/(1-q): 1 is 0 %, 2 is 50 %, 10 is 90 %, 100 is 99 % …
  const percent = (x) => {
    const nines = Math.log10(x);
    return (100 - 100 / x).toFixed(Math.max(0, Math.ceil(nines) - 2 + (nines % 1 ? 1 : 0))) + " %";
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
      x.values = (u, s) => s.map(percent);
    } else {
      x.values = (u, s) => s.map((v) => short(v) + " s");
    }
    const y = { ...look, values: (u, s) => s.map((v) => v == null ? "" : tick(c.unit, v)), size: 64 };
    if (c.unit === "bytes") y.incrs = bytes;
    if (c.unit === "count") y.incrs = whole;
    return [x, y];
  };

  const build = (c) => {
    const box = document.getElementById("chart-" + c.id);
    const log = pressed.has(c.id) ? pressed.get(c.id) : c.log;
    const lift = (v) => log && v != null && v <= 0 ? 1 : v; // a logarithm has no zero: 1 ns is the least
    // "undefined" marks an x that only another line has, null a gap.
    const data = uPlot.join(c.series.map((s) => [s.x, s.y.map(lift)]));
    const dark = root.dataset.theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches;
    const step = c.step ? uPlot.paths.stepped({ align: 1 }) : undefined;
    const last = (u, i) => { // what the line shows at an x of another line
      while (c.step && i > 0 && data[u][i] === undefined) i--;
      return data[u][i];
    };
    const series = c.series.map((s, k) => ({
      label: s.label, stroke: css(s.color), width: 2, spanGaps: false, paths: step,
      dash: s.dash ? [6, 4] : undefined,
      fill: s.fill ? css(s.color) + (dark ? "33" : "22") : undefined,
      points: { show: c.x === "time" && !c.step && s.x.length <= 60, size: 5 },
      value: (u, v, _, i) => format(c.unit, i == null ? null : last(k + 1, i), digits),
    }));
    const size = () => ({ width: box.clientWidth, height: box.closest(".wide") ? 270 : 200 });
    const u = new uPlot({
      ...size(),
      series: [{
        label: c.x === "time" ? "time" : "percentile",
        value: (u, v) => v == null ? "–" : c.x === "time" ? v.toFixed(2) + " s" : percent(v),
      }, ...series],
      axes: axes(c, log),
      scales: {
        x: c.x === "percentile" ? { time: false, distr: 3 } : { time: false },
        y: log ? { distr: 3 } : { range: (u, min, max) => max == null ? [0, 1] : [0, max > 0 ? max * 1.08 : 1] },
      },
      padding: [null, 28, null, null], // room for half of the last tick's text, such as 99.999 %
      cursor: { y: false, focus: { prox: 24 }, sync: c.x === "time" ? { key: "time" } : undefined },
      focus: { alpha: 0.35 },
    }, data, box);
    box.dataset.xscale = u.scales.x.distr === 3 ? "log" : "linear";
    box.dataset.yscale = u.scales.y.distr === 3 ? "log" : "linear";
    plots.set(c.id, { u, fit: () => u.setSize(size()) });
  };
  const draw = (c) => {
    const old = plots.get(c.id);
    if (old) old.u.destroy();
    plots.delete(c.id);
    try { build(c); } catch (e) { fault(); console.error(e); }
    mark();
  };
  const drawAll = () => charts.forEach(draw);

  for (const b of document.querySelectorAll("button[data-for]")) {
    const c = charts.find((c) => c.id === b.dataset.for);
    b.hidden = false;
    b.addEventListener("click", () => {
      const on = b.getAttribute("aria-pressed") !== "true";
      b.setAttribute("aria-pressed", String(on));
      pressed.set(c.id, on);
      draw(c);
    });
  }
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  // Paper is white, and narrower than most screens.
  addEventListener("beforeprint", () => { root.dataset.theme = "light"; drawAll(); });
  addEventListener("afterprint", () => { delete root.dataset.theme; drawAll(); });
  let queued = 0;
  new ResizeObserver(() => {
    cancelAnimationFrame(queued);
    queued = requestAnimationFrame(() => plots.forEach((p) => p.fit()));
  }).observe(document.querySelector(".charts"));
})();
