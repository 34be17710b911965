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
      count = h("p.hint", { role: "status" }, "Loading …");
    const search = h("input", { type: "search", placeholder: "words", oninput: () => draw() });
    let entries = [],
      last = -1,
      missed = null,
      asked = null;
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
    const take = (found) => {
      missed?.push(...found);
      const more = found.filter((entry) => entry.seq > last); // what was loaded comes in the stream once more
      if (!more.length && found.length) return;
      last = more.at(-1)?.seq ?? last;
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
    const load = () => {
      const mine = (asked = {});
      missed = [];
      return get("log")
        .then((found) => {
          if (mine !== asked) return;
          const newer = missed;
          missed = null;
          entries = [];
          last = -1;
          take(found.entries);
          take(newer);
        })
        .catch((error) => {
          if (mine !== asked) return;
          missed = null;
          fill(count, h("span.error", { role: "alert" }, error.message));
        });
    };
    const offs = [
      app.live.on("log", (found) => take(found.entries)),
      app.live.on("anew", load),
      app.live.on("back", load),
    ];
    return { load, leave: () => offs.forEach((off) => off()) };
  },
};
