// Searches while somebody types: the form `data-live` names the region that its page's answer replaces. The address
// follows, so that a reload or a copied address shows the same.
import { fetchPage } from "./page.js";
import { say } from "./live.js";

let timer = 0;
let latest = 0;

async function search(form) {
  const url = new URL(form.action, location.href);
  url.search = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== "")).toString();
  const turn = ++latest;
  const page = await fetchPage(url).catch(() => null);
  const region = document.getElementById(form.dataset.live);
  const other = page?.document.getElementById(form.dataset.live);
  if (turn !== latest || !region || !other || page.redirected) return;
  region.replaceChildren(...[...other.childNodes].map((node) => document.importNode(node, true)));
  history.replaceState(history.state, "", url);
  if (other.dataset.count) say(other.dataset.count);
}

document.addEventListener("input", (event) => {
  const form = event.target.closest?.("form[data-live]");
  if (!form) return;
  clearTimeout(timer);
  timer = setTimeout(() => search(form), 180);
});
document.addEventListener("submit", (event) => {
  const form = event.target.closest?.("form[data-live]");
  if (!form) return;
  event.preventDefault();
  clearTimeout(timer);
  search(form);
});
