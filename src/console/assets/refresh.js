// Keeps marked regions up to date: every `data-refresh` seconds the same page is fetched and regions with the same id
// are replaced where they differ. Nothing moves while somebody reads, selects or opens something in them.
import { fetchPage, showPage } from "./page.js";

const regions = () => [...document.querySelectorAll("[data-refresh][id]")];
const isInUse = (region) => region.querySelector("details.menu[open]") || region.contains(document.activeElement)
  || (getSelection().rangeCount && !getSelection().isCollapsed && region.contains(getSelection().anchorNode));

let timer = 0;
let isAsking = false;

async function refresh() {
  const wanted = regions();
  if (isAsking || document.hidden || wanted.length === 0 || document.querySelector("dialog:modal")) return;
  isAsking = true;
  const address = location.href;
  try {
    const page = await fetchPage(address);
    if (!page || page.redirected || page.status !== 200 || address !== location.href) return;
    // The page has another shape now, such as a first row where there was none.
    if (page.document.title === document.title && wanted.some((region) => !page.document.getElementById(region.id))) {
      if (!wanted.some(isInUse)) showPage(page.document);
      return;
    }
    for (const region of wanted) {
      const other = page.document.getElementById(region.id);
      if (!other || !region.isConnected || isInUse(region)) continue;
      const opened = [...region.querySelectorAll("details[id][open]")].map((details) => details.id);
      if (other.innerHTML === (region.asFetched ?? "")) continue;
      region.asFetched = other.innerHTML;
      region.replaceChildren(...[...other.childNodes].map((node) => document.importNode(node, true)));
      for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    }
  } catch { /* the next round asks again */ } finally { isAsking = false; }
}

function schedule() {
  clearTimeout(timer);
  const seconds = Math.min(...regions().map((region) => Number(region.dataset.refresh) || 5));
  if (Number.isFinite(seconds)) timer = setTimeout(async () => { await refresh(); schedule(); }, seconds * 1000);
  else timer = setTimeout(schedule, 5000);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
schedule();
