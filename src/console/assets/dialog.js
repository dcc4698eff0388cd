// Dialog pages on top of the page that links to them. Each is a page of its own at its address: this fetches it, takes
// its <dialog>, sends its forms, and keeps address, history and focus as if it had been visited.
import { say, tellNotice, withoutNotice } from "./live.js";
import { fetchPage, showPage } from "./page.js";
import { guard, mayLeave } from "./secret.js";

let opener = null;
let ownStep = false;
const current = () => document.querySelector("dialog.dialog:modal");
const startsFrom = (link) => ({ id: link.id, address: link.href });

function focusInside(dialog) {
  const wanted = dialog.querySelector("[aria-invalid=true]") ?? dialog.querySelector("[autofocus]")
    ?? dialog.querySelector("[data-focus]") ?? dialog.querySelector("input:not([type=hidden]), select, h1");
  if (wanted?.tagName === "H1") wanted.tabIndex = -1;
  wanted?.focus();
}

function returnFocus() {
  const link = opener && (document.getElementById(opener.id) ?? [...document.querySelectorAll("a[data-dialog]")].find((a) => a.href === opener.address));
  const target = link?.closest("details.menu:not([open])")?.querySelector("summary") ?? link ?? document.querySelector("main h1");
  if (target?.tagName === "H1") target.tabIndex = -1;
  target?.focus();
  opener = null;
}

function put(fetched) {
  const dialog = document.importNode(fetched, true);
  dialog.removeAttribute("open");
  document.body.append(dialog);
  dialog.showModal();
  focusInside(dialog);
  guard(dialog);
}

async function openAt(address, push) {
  let page = null;
  try { page = await fetchPage(address); } catch { /* without network the link says so itself */ }
  const fetched = page?.document.querySelector("dialog.dialog");
  if (!fetched) return location.assign(address);
  current()?.remove();
  if (push) history.pushState({ dialog: true, behind: document.title }, "", page.address);
  document.title = page.document.title;
  put(fetched);
}

// Takes the step that opening the dialog added out of the way again.
function stepBack() {
  if (!history.state?.dialog) return Promise.resolve();
  ownStep = true;
  return new Promise((done) => {
    addEventListener("popstate", () => { ownStep = false; done(); }, { once: true });
    history.back();
  });
}

// Shows the page that a form led to. The dialog is gone, and so is its step in the history.
async function land(page) {
  // A page without a bar is the way in: the session is over.
  if (page.redirected && !page.document.querySelector("body > header.bar")) return location.assign(page.address);
  await stepBack();
  current()?.remove();
  showPage(page.document);
  history.replaceState(null, "", withoutNotice(page.address, page.document.querySelector(".notice")));
  tellNotice();
  returnFocus();
}

async function closeDialog(dialog) {
  if (!mayLeave(dialog)) return;
  const back = dialog.dataset.back;
  if (history.state?.dialog) { history.back(); return; }
  let page = null;
  if (back) try { page = await fetchPage(back); } catch { /* as above */ }
  if (page && !page.document.querySelector("dialog.dialog")) await land(page);
  else if (back) location.assign(back);
}

async function answerOf(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter));
  const address = submitter?.getAttribute("formaction") ?? form.getAttribute("action") ?? location.href;
  return fetchPage(address, { method: "POST", body });
}

async function send(dialog, form, submitter) {
  if (form.getAttribute("aria-busy") === "true") return;
  form.setAttribute("aria-busy", "true");
  submitter?.setAttribute("aria-busy", "true");
  let page = null;
  try { page = await answerOf(form, submitter); } catch { /* said below */ }
  form.removeAttribute("aria-busy");
  submitter?.removeAttribute("aria-busy");
  if (!page) return say("The console did not answer. Nothing was sent again; try once more.");
  const next = page.document.querySelector("dialog.dialog");
  if (!next) return land(page);
  document.title = page.document.title;
  for (const name of ["class", "aria-labelledby", "data-back", "data-secret"]) {
    const value = next.getAttribute(name);
    if (value === null) dialog.removeAttribute(name); else dialog.setAttribute(name, value);
  }
  dialog.replaceChildren(...[...next.childNodes].map((node) => document.importNode(node, true)));
  dialog.scrollTop = 0;
  if (dialog.hasAttribute("data-secret")) await behindSecret(dialog);
  focusInside(dialog);
  guard(dialog);
  const wrong = dialog.querySelector(".wrong");
  if (wrong) say(wrong.textContent.trim());
}

// A secret has no address and no place in the history: what lies behind it is the list that the key is in now.
async function behindSecret(dialog) {
  await stepBack();
  history.replaceState(null, "", dialog.dataset.back);
  // Without this a dialog that was a page would have nothing but itself behind it.
  const page = await fetchPage(dialog.dataset.back).catch(() => null);
  if (page && !page.document.querySelector("dialog.dialog")) {
    const isPage = dialog.closest("main");
    if (isPage) { document.body.append(dialog); dialog.removeAttribute("open"); }
    showPage(page.document);
    if (isPage) dialog.showModal();
  }
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest?.("a[href]");
  const dialog = event.target.closest?.("dialog.dialog");
  if (link?.hasAttribute("data-close") && dialog) { event.preventDefault(); closeDialog(dialog); }
  else if (link?.hasAttribute("data-dialog")) {
    event.preventDefault();
    opener ??= startsFrom(link);
    openAt(link.href, !history.state?.dialog);
  }
});

document.addEventListener("submit", (event) => {
  const dialog = event.target.closest?.("dialog.dialog");
  if (!dialog || event.defaultPrevented || event.target.method !== "post") return;
  event.preventDefault();
  send(dialog, event.target, event.submitter);
});

// Escape asks for closing; on a press outside only what was not written into closes.
document.addEventListener("cancel", (event) => {
  if (!event.target.matches?.("dialog.dialog")) return;
  event.preventDefault();
  closeDialog(event.target);
}, true);
let pressedOutside = false;
const isOutside = (event) => {
  const dialog = current();
  if (!dialog || event.target !== dialog) return false;
  const box = dialog.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
};
const isUntouched = (dialog) => [...dialog.querySelectorAll("input, textarea")].every((field) => field.value === field.defaultValue && field.checked === field.defaultChecked);
document.addEventListener("pointerdown", (event) => { pressedOutside = isOutside(event); });
document.addEventListener("pointerup", (event) => {
  const dialog = current();
  if (pressedOutside && isOutside(event) && !dialog.hasAttribute("data-secret") && isUntouched(dialog)) closeDialog(dialog);
});

addEventListener("popstate", (event) => {
  if (ownStep) return;
  const dialog = current();
  if (event.state?.dialog) openAt(location.href, false);
  else if (dialog) {
    dialog.remove();
    document.title = document.querySelector("main")?.dataset.title ?? document.title;
    returnFocus();
  }
});

// A dialog that was opened as a page keeps its forms; a reload of one opened on top is that page.
const asPage = document.querySelector("main > dialog.dialog[open]");
if (asPage) {
  if (history.state?.dialog) history.replaceState(null, "");
  guard(asPage);
  const first = asPage.querySelector("[aria-invalid=true]") ?? asPage.querySelector("[autofocus], [data-focus]");
  first?.focus();
}
