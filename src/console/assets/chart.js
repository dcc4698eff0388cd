// Bars of a chart: exact numbers in a line below it on hover and focus, and arrow keys to step through them.
// Listens on the document, so that a chart that was replaced by a newer one needs nothing said again.

const untouched = new WeakMap();

function readoutOf(bar) {
  return document.getElementById(bar.closest("[data-chart]").dataset.chart);
}

function show(bar) {
  const readout = readoutOf(bar);
  if (!readout) return;
  if (!untouched.has(readout)) untouched.set(readout, readout.textContent);
  readout.textContent = bar.getAttribute("aria-label");
}

function forget(chart) {
  const readout = document.getElementById(chart.dataset.chart);
  if (readout && untouched.has(readout)) readout.textContent = untouched.get(readout);
}

function barOf(target) {
  return target instanceof Element ? target.closest("[data-chart] .column") : null;
}

function step(bar, key) {
  const bars = [...bar.closest("[data-chart]").querySelectorAll(".column")];
  const at = bars.indexOf(bar);
  const places = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: bars.length - 1 };
  return bars[Math.min(Math.max(places[key] ?? -1, 0), bars.length - 1)];
}

document.addEventListener("pointerover", (event) => {
  const bar = barOf(event.target);
  if (bar) show(bar);
});

document.addEventListener("pointerout", (event) => {
  const chart = event.target instanceof Element ? event.target.closest("[data-chart]") : null;
  if (!chart || chart.contains(event.relatedTarget)) return;
  const focused = barOf(document.activeElement);
  if (focused && chart.contains(focused)) show(focused);
  else forget(chart);
});

document.addEventListener("focusin", (event) => {
  const bar = barOf(event.target);
  if (bar) show(bar);
});

document.addEventListener("focusout", (event) => {
  const bar = barOf(event.target);
  if (bar && !barOf(event.relatedTarget)) forget(bar.closest("[data-chart]"));
});

document.addEventListener("keydown", (event) => {
  const bar = barOf(event.target);
  if (!bar || !["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
  event.preventDefault();
  const next = step(bar, event.key);
  bar.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
});
