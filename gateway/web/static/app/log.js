// The last 500 state changes.

import { get } from "./api.js";
import { badge, clock, fill, h, plural, shown } from "./dom.js";

const MOST = 500;
const NOTHING = new Set([null, "", "None"]);
const LEVELS = { info: "off", debug: "off", warning: "warn", error: "bad", critical: "bad" };

export const log = {
  title: "Log",
  topic: "none",
  show(main, app) {
    const list = h("ol.log"),
      count = h("p.hint", { role: "status" });
    const search = h("input", { type: "search", placeholder: "words", oninput: () => draw() });
    let entries = [];
    const draw = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = entries.filter((entry) => words.every((word) => entry.needle.includes(word)));
      count.textContent = plural(found.length, "state change");
      fill(
        list,
        found.toReversed().map((entry) =>
          h(
            "li",
            {},
            h("time.mono", {}, clock(entry.utc)),
            badge(LEVELS[entry.level] || "off", entry.event),
            h(
              "span",
              {},
              Object.entries(entry.fields)
                .filter(([, value]) => !NOTHING.has(value))
                .map(([name, value]) => `${name}: ${shown(value)}`)
                .join(" · "),
            ),
          ),
        ),
      );
    };
    const take = (more) => {
      for (const entry of more) entry.needle = `${entry.event} ${JSON.stringify(entry.fields)}`.toLowerCase();
      entries = [...entries, ...more].slice(-MOST);
      draw();
    };
    main.append(
      h("h1", {}, "Log"),
      h(
        "form.filters",
        { role: "search", onsubmit: (event) => event.preventDefault() },
        h("label", {}, "Search", search),
      ),
      count,
      h("section.panel", {}, list),
    );
    const load = () =>
      get("log")
        .then((found) => {
          entries = [];
          take(found.entries);
        })
        .catch((error) => {
          count.textContent = error.message;
        });
    const offs = [
      app.live.on("log", (found) => take(found.entries)),
      app.live.on("anew", load),
      app.live.on("back", load),
    ];
    return { load, leave: () => offs.forEach((off) => off()) };
  },
};
