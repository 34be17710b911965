// What the BMS people need: every export of the map as it is served now, and the check-out report.

import { get, save } from "./api.js";
import { fill, h, setText } from "./dom.js";

export const downloads = {
  title: "Downloads",
  topic: "none",
  show(main) {
    const list = h("ul.downloads"),
      trouble = h("p.error", { role: "alert" });
    const said = h("p.hint", { role: "status" }, "Loading …");
    const fetched = (name) => {
      setText(trouble, "");
      setText(said, `Making ${name} …`);
      save(`downloads/${encodeURIComponent(name)}`)
        .then(() => setText(said, `${name} is made, and saved among the downloads of this browser.`))
        .catch((error) => {
          setText(said, "");
          setText(trouble, error.message);
        });
    };
    main.append(
      h("h1", {}, "Downloads"),
      h(
        "section.panel",
        {},
        h("p.hint", {}, "Made of the map that is served now; each file holds its hash."),
        said,
        trouble,
        list,
      ),
    );
    get("downloads")
      .then(({ downloads: files }) => {
        setText(said, "");
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
          files.some((file) => file.name.startsWith("checkout-"))
            ? null
            : h(
                "li.hint",
                {},
                "No check-out report yet: ",
                h("code", {}, "evce-gateway checkout"),
                " on the gateway's machine makes one.",
              ),
        );
      })
      .catch((error) => {
        setText(said, "");
        fill(list, h("li.error", { role: "alert" }, error.message));
      });
    return null;
  },
};
