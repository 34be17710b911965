// What the BMS people need: every export of the map as it is served now, and the check-out report.

import { address, get } from "./api.js";
import { fill, h } from "./dom.js";

export const downloads = {
  title: "Downloads",
  topic: "none",
  show(main) {
    const list = h("ul.downloads");
    main.append(
      h("h1", {}, "Downloads"),
      h("section.panel", {}, h("p.hint", {}, "Made of the map that is served now; each file holds its hash."), list),
    );
    get("downloads")
      .then(({ downloads: files }) =>
        fill(
          list,
          files.map((file) =>
            h(
              "li",
              {},
              h(
                "a.button",
                { href: address(`downloads/${encodeURIComponent(file.name)}`), download: file.name },
                file.name,
              ),
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
