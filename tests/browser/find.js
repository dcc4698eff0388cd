// Finds elements by the role and the name that people read or hear. Looks only at what can be seen and reached: with a
// modal dialog open, only what is within it.
const [asked, role, name] = arguments;

const selectors = {
  button: "button, summary, input[type=submit], [role=button]",
  link: "a[href]",
  textbox:
    "textarea, input:not([type]), " +
    ["text", "email", "password", "search", "number", "url", "date", "time", "datetime-local"]
      .map((type) => `input[type=${type}]`)
      .join(", "),
  combobox: "select, [role=combobox]",
  radio: "input[type=radio]",
  checkbox: "input[type=checkbox]",
  menuitem: "[role^=menuitem]",
  menu: "[role=menu]",
  dialog: "dialog[open], [role=dialog], [role=alertdialog]",
  heading: "h1, h2, h3, h4",
  row: "tbody tr",
  status: "[role=status]",
  alert: "[role=alert]",
  img: "svg[role=img], img",
};

const plain = (text) => (text || "").replace(/\s+/g, " ").trim();

const roleOf = (element) => {
  const own = element.getAttribute("role");
  if (own) return own.startsWith("menuitem") ? "menuitem" : own;
  return Object.keys(selectors).find((each) => element.matches(selectors[each])) || element.localName;
};

const contents = (node) => {
  if (node.nodeType === Node.TEXT_NODE) return node.data;
  if (node.nodeType !== Node.ELEMENT_NODE || node.getAttribute("aria-hidden") === "true") return "";
  if (node.hidden || ["SCRIPT", "STYLE", "SELECT"].includes(node.nodeName)) return "";
  if (node.hasAttribute("aria-label")) return ` ${node.getAttribute("aria-label")} `;
  if (node.nodeName === "IMG") return ` ${node.alt} `;
  return ` ${[...node.childNodes].map(contents).join("")} `.replace(/^ | $/g, (space) =>
    getComputedStyle(node).display === "inline" ? "" : space,
  );
};

const nameOf = (element) => {
  const labelledBy = element.getAttribute("aria-labelledby");
  if (labelledBy) {
    return plain(labelledBy.split(/\s+/).map((id) => contents(document.getElementById(id) || new Text())).join(" "));
  }
  if (element.hasAttribute("aria-label")) return plain(element.getAttribute("aria-label"));
  if (element.labels && element.labels.length > 0) return plain([...element.labels].map(contents).join(" "));
  if (element.matches("input[type=submit]")) return plain(element.value);
  if (element.matches("input, select, textarea")) return plain(element.placeholder || element.title);
  return plain(contents(element) || element.title);
};

const modal = [...document.querySelectorAll("dialog:modal")].pop();
const reachable = (element) =>
  (!modal || modal.contains(element)) &&
  element.checkVisibility({ visibilityProperty: true }) &&
  !element.closest("[inert]") &&
  element.getClientRects().length > 0;

const candidates = () =>
  [...document.querySelectorAll(selectors[role])].filter((each) => roleOf(each) === role && reachable(each));

switch (asked) {
  case "find": {
    const all = candidates();
    const exact = all.filter((each) => nameOf(each) === plain(name));
    // A choice's label also explains it; an element without a name asked for is any of its role.
    return exact.length > 0 ? exact : all.filter((each) => name === "" || nameOf(each).startsWith(`${plain(name)} `));
  }
  case "names":
    return candidates().map(nameOf);
  case "focus": {
    const element = document.activeElement;
    return !element || element === document.body ? "nothing" : `${roleOf(element)} ${nameOf(element)}`;
  }
}
