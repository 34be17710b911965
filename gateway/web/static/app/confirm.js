// Asks before anything is done; the dialog of the browser keeps the keyboard inside and gives the focus back.

import { h } from "./dom.js";

export function confirmed(title, lines, verb, danger = false) {
  return new Promise((resolve) => {
    const close = (answer) => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    const no = h("button", { type: "button", onclick: () => close(false) }, "Cancel");
    const go = h(danger ? "button.danger" : "button.primary", { type: "button", onclick: () => close(true) }, verb);
    const dialog = h(
      "dialog.confirm",
      { "aria-labelledby": "confirm-title", "aria-describedby": "confirm-lines", oncancel: () => close(false) },
      h("h2", { id: "confirm-title" }, title),
      h(
        "ul",
        { id: "confirm-lines" },
        lines.filter(Boolean).map((line) => h("li", {}, line)),
      ),
      h("div.row", {}, no, go),
    );
    document.body.append(dialog);
    dialog.showModal();
    (danger ? no : go).focus();
  });
}
