// Menus are <details> and open by themselves. This adds what people expect of a menu: arrows, Home, End, typing a first
// letter, Escape with the focus back on the button, closing on a press elsewhere, and opening upwards near the bottom.

const openMenus = () => document.querySelectorAll("details.menu[open]");
const itemsOf = (menu) => [...menu.querySelectorAll(".items a, .items button")];

function close(menu, returnFocus) {
  menu.open = false;
  if (returnFocus) menu.querySelector("summary").focus();
}

function describe(menu) {
  const list = menu.querySelector(".items");
  menu.querySelector("summary").setAttribute("aria-haspopup", "menu");
  list.setAttribute("role", "menu");
  list.querySelectorAll("a, button").forEach((item) => { item.setAttribute("role", "menuitem"); item.tabIndex = -1; });
  list.querySelectorAll("form").forEach((form) => form.setAttribute("role", "none"));
  list.querySelectorAll("hr").forEach((line) => line.setAttribute("role", "separator"));
  const owner = list.querySelector(".owner");
  if (owner) {
    owner.id ||= "menu-owner";
    owner.setAttribute("role", "none");
    list.setAttribute("aria-describedby", owner.id);
  }
  const button = menu.querySelector("summary");
  const label = button.getAttribute("aria-label") ?? (button.querySelector(".visually-hidden") ?? button).textContent.trim();
  list.setAttribute("aria-label", label);
}

function place(menu) {
  const list = menu.querySelector(".items");
  menu.classList.remove("up");
  list.style.translate = "";
  const button = menu.getBoundingClientRect();
  if (list.getBoundingClientRect().bottom > innerHeight - 8 && button.top > list.offsetHeight + 12) menu.classList.add("up");
  const box = list.getBoundingClientRect();
  const shift = box.left < 8 ? 8 - box.left : Math.min(0, document.documentElement.clientWidth - 8 - box.right);
  if (shift) list.style.translate = `${shift}px 0`;
}

let byKeyboard = false;
document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (!(menu instanceof HTMLDetailsElement) || !menu.classList.contains("menu") || !menu.open) return;
  for (const other of openMenus()) if (other !== menu) close(other, false);
  describe(menu);
  place(menu);
  if (byKeyboard) itemsOf(menu)[byKeyboard === "last" ? itemsOf(menu).length - 1 : 0]?.focus();
  byKeyboard = false;
}, true);

document.addEventListener("pointerdown", (event) => {
  for (const menu of openMenus()) if (!menu.contains(event.target)) close(menu, false);
});
document.addEventListener("focusin", (event) => {
  for (const menu of openMenus()) if (!menu.contains(event.target)) close(menu, false);
});

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.("details.menu");
  if (!menu || event.ctrlKey || event.metaKey || event.altKey) return;
  const onButton = event.target.closest("summary");
  if (onButton && !menu.open) {
    if (["ArrowDown", "ArrowUp", "Enter", " "].includes(event.key)) {
      event.preventDefault();
      byKeyboard = event.key === "ArrowUp" ? "last" : "first";
      menu.open = true;
    }
    return;
  }
  if (!menu.open) return;
  const items = itemsOf(menu);
  const at = items.indexOf(document.activeElement);
  const go = (to) => { event.preventDefault(); items[(to + items.length) % items.length]?.focus(); };
  if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); close(menu, true); }
  else if (event.key === "Tab") close(menu, !event.shiftKey || !onButton);
  else if (event.key === "ArrowDown") go(at + 1);
  else if (event.key === "ArrowUp") go(at < 0 ? items.length - 1 : at - 1);
  else if (event.key === "Home") go(0);
  else if (event.key === "End") go(items.length - 1);
  else if (event.key === " " && at >= 0) { event.preventDefault(); items[at].click(); }
  else if (event.key.length === 1 && event.key !== " ") {
    const letter = event.key.toLocaleLowerCase();
    const order = [...items.slice(at + 1), ...items.slice(0, at + 1)];
    order.find((item) => item.textContent.trim().toLocaleLowerCase().startsWith(letter))?.focus();
  }
});

// Choosing closes; the focus goes where the choice leads, or back.
document.addEventListener("click", (event) => {
  const item = event.target.closest?.("details.menu .items a, details.menu .items button");
  if (item) close(item.closest("details.menu"), true);
});

document.querySelectorAll("details.menu").forEach(describe);
new MutationObserver((changes) => {
  for (const change of changes) for (const node of change.addedNodes) {
    if (node instanceof Element) [node, ...node.querySelectorAll("details.menu")].filter((e) => e.matches("details.menu")).forEach(describe);
  }
}).observe(document.body, { childList: true, subtree: true });
