"use strict";
// Shows what the server sends. The charts are report.js's.
(() => {
  const main = document.querySelector("main");
  let held = false, next = null;
  const show = () => {
    if (held || !next) return;
    const { main: html, charts } = next, focus = document.activeElement?.dataset.for;
    next = null;
    main.style.minHeight = main.offsetHeight + "px"; // or a page that is shorter for a moment scrolls
    main.innerHTML = html;
    document.dispatchEvent(new CustomEvent("charts", { detail: charts || [] }));
    main.style.minHeight = "";
    if (focus) document.querySelector('button[data-for="' + focus + '"]')?.focus({ preventScroll: true });
  };
  // A press that is to become a click or a zoom ends on what it began on.
  const release = () => { if (held) { held = false; setTimeout(show); } };
  addEventListener("mousedown", () => { held = true; }, true);
  addEventListener("mouseup", release, true);
  addEventListener("mousemove", (e) => { if (!e.buttons) release(); }, true); // it ended elsewhere
  const events = new EventSource("events"); // it connects again by itself
  events.onmessage = (e) => { next = JSON.parse(e.data); show(); };
  events.onerror = () => { document.getElementById("lost").hidden = false; };
})();
