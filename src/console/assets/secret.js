// What a shown secret needs: one question before leaving without a copy, no trace in history or the page cache.
import { say } from "./live.js";

let isKept = true;
let wasAsked = false;

const shown = () => document.querySelector("dialog[data-secret]");

// Begins to watch over the secret in `dialog`, where there is one.
export function guard(dialog) {
  if (!dialog.hasAttribute("data-secret")) return;
  isKept = false;
  wasAsked = false;
  // The address and its entry in the history lead to the list: going back or reloading cannot ask for it again.
  if (dialog.dataset.back) history.replaceState(null, "", dialog.dataset.back);
}

// Whether closing may go on. The first time without a copy it asks, in the dialog.
export function mayLeave(dialog) {
  if (!dialog.hasAttribute("data-secret") || isKept || wasAsked) { wipe(); return true; }
  wasAsked = true;
  const question = dialog.querySelector("[data-ask]");
  if (question) {
    question.hidden = false;
    say(question.textContent.trim());
    const done = dialog.querySelector("footer [data-close]");
    if (done) { done.textContent = done.dataset.asked ?? done.textContent; done.focus(); }
    question.scrollIntoView({ block: "nearest" });
  }
  return false;
}

export function kept() { isKept = true; }

function wipe() {
  document.querySelectorAll("[data-secret] code, [data-secret] pre").forEach((place) => { place.textContent = ""; });
  isKept = true;
}

document.addEventListener("copy", (event) => { if (event.target.closest?.("[data-secret]") ?? shown()) kept(); });
addEventListener("beforeunload", (event) => { if (shown() && !isKept && !wasAsked) event.preventDefault(); });
addEventListener("pagehide", () => { if (shown()) wipe(); });
addEventListener("pageshow", (event) => { if (event.persisted && shown()) location.replace(shown().dataset.back); });

// One press selects all of it, whatever it is wrapped into.
document.addEventListener("click", (event) => {
  const place = event.target.closest?.("[data-select]");
  if (!place) return;
  getSelection().selectAllChildren(place);
});
