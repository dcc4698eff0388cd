// Answers what sticks out at the right: of the page, whose width is given, or of the box that it stands in.
const [width] = arguments;
const told = (what, element) => `${what}: ${element.cloneNode(false).outerHTML.slice(0, 160)} ${element.innerText?.slice(0, 60) ?? ""}`;
const page = document.documentElement;

const outside = () => {
  const found = [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > width + 1);
  return [`the page scrolls sideways to ${page.scrollWidth}`, ...found.slice(0, 3).map((each) => told("outside", each))];
};

// Boxes that neither scroll nor clip, and are narrower than what is in them.
const burst = () =>
  [...document.querySelectorAll("main *, dialog *")].filter((each) => {
    if (!(each instanceof HTMLElement) || each.closest(".visually-hidden, details:not([open]) > :not(summary)")) return false;
    if (each.matches("input, select, textarea, summary") || !each.checkVisibility()) return false;
    const style = getComputedStyle(each);
    return style.display !== "inline" && style.overflowX === "visible" && each.clientWidth > 0 && each.scrollWidth > each.clientWidth + 1;
  });

const tooWide = Math.max(page.scrollWidth, document.body.scrollWidth) > width;
return [...(tooWide ? outside() : []), ...burst().slice(0, 3).map((each) => told(`holds ${each.scrollWidth} in ${each.clientWidth}`, each))];
