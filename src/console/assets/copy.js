// Copy buttons: `data-copy` names the element whose text is copied. Says "Copied" where it is seen and where it is heard.
import { say } from "./live.js";
import { kept } from "./secret.js";

async function copy(text, source) {
  try { await navigator.clipboard.writeText(text); return true; } catch { /* not a secure context, or not allowed */ }
  getSelection().selectAllChildren(source);
  return document.execCommand("copy");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button[data-copy]");
  const source = button && document.getElementById(button.dataset.copy);
  if (!source) return;
  const label = (button.dataset.label ??= button.textContent);
  if (!(await copy(source.textContent, source))) {
    getSelection().selectAllChildren(source);
    say("The browser does not allow copying here. The text is selected: copy it with the keyboard.");
    return;
  }
  if (source.closest("[data-secret]")) kept();
  button.textContent = "Copied";
  say(button.dataset.said ?? "Copied");
  setTimeout(() => { button.textContent = label; }, 2500);
});
document.querySelectorAll("button[data-copy]").forEach((button) => { button.hidden = false; });
new MutationObserver(() => document.querySelectorAll("button[data-copy][hidden]").forEach((button) => { button.hidden = false; }))
  .observe(document.body, { childList: true, subtree: true });
