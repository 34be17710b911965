// Asks before anything is done; the dialog of the browser keeps the keyboard inside and gives the focus back.

import { h } from "./dom.js";

export function confirmed(title, lines, verb, danger = false) {
  return new Promise((resolve) => {
    const close = (answer) => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    const go = h(danger ? "button.danger" : "button.primary", { type: "button", onclick: () => close(true) }, verb);
    const dialog = h("dialog.confirm", { "aria-label": title, oncancel: () => close(false) },
      h("h2", {}, title), h("ul", {}, lines.filter(Boolean).map((line) => h("li", {}, line))),
      h("div.row", {}, h("button", { type: "button", onclick: () => close(false) }, "Cancel"), go));
    document.body.append(dialog);
    dialog.showModal();
    go.focus();
  });
}
