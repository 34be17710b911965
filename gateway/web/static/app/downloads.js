// What the BMS people need: every export of the map as it is served now, and the check-out report.

import { get, save } from "./api.js";
import { fill, h, setText } from "./dom.js";

export const downloads = {
  title: "Downloads",
  topic: "none",
  show(main) {
    const list = h("ul.downloads"),
      trouble = h("p.error", { role: "alert" });
    const fetched = (name) => {
      setText(trouble, "");
      save(`downloads/${encodeURIComponent(name)}`).catch((error) => setText(trouble, error.message));
    };
    main.append(
      h("h1", {}, "Downloads"),
      h("section.panel", {}, h("p.hint", {}, "Made of the map that is served now; each file holds its hash."), trouble, list),
    );
    get("downloads")
      .then(({ downloads: files }) =>
        fill(
          list,
          files.map((file) =>
            h(
              "li",
              {},
              h("button", { type: "button", onclick: () => fetched(file.name) }, file.name),
              h("span", {}, file.text),
            ),
          ),
          files.length ? null : h("li.hint", {}, "Nothing to save yet."),
        ),
      )
      .catch((error) => fill(list, h("li.error", { role: "alert" }, error.message)));
    return null;
  },
};
