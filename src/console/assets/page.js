// Fetches pages of this console and puts their parts into the current one.

// The page at an address as a document, with the address it ended at. Null where it is not a page of ours.
export async function fetchPage(address, options = {}) {
  const response = await fetch(address, { credentials: "same-origin", headers: { accept: "text/html" }, ...options });
  if (!(response.headers.get("content-type") ?? "").startsWith("text/html")) return null;
  const document = new DOMParser().parseFromString(await response.text(), "text/html");
  return { document, address: response.url, redirected: response.redirected, status: response.status };
}

// Shows another page's title, bar and main part in place of the current ones. Scrolling stays.
export function showPage(other) {
  document.title = other.title;
  for (const part of ["header.bar", "main"]) {
    const [now, then] = [document.querySelector(`body > ${part}`), other.querySelector(`body > ${part}`)];
    if (now && then) now.replaceWith(document.importNode(then, true));
  }
}
