// Says things to those who listen rather than look. While a dialog is on top, only what is inside it is heard.

export function say(text) {
  const region = document.querySelector("dialog:modal .live") ?? document.getElementById("live");
  if (!region) return;
  region.textContent = "";
  // A region that changes in the same breath as it appears is not read out.
  setTimeout(() => { region.textContent = text; }, 80);
}

// Says what the page says just happened, and takes it out of the address: a reload is not a second time.
export function tellNotice(root = document) {
  const notice = root.querySelector(".notice");
  if (!notice) return;
  say(notice.textContent.trim().replace(/\s+/g, " "));
  const address = withoutNotice(location.href, notice);
  if (address !== location.href) history.replaceState(history.state, "", address);
}

export function withoutNotice(address, notice) {
  const url = new URL(address, location.href);
  for (const name of (notice?.dataset.params ?? "").split(" ").filter(Boolean)) url.searchParams.delete(name);
  return url.href;
}
