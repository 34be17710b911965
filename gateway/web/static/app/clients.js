// Who reads and writes here, and what is probably wrong with it.

import { get } from "./api.js";
import { badge, duration, fill, h, plural } from "./dom.js";
import { table } from "./overview.js";

const EVERY_MS = 3000;

export const clients = {
  title: "Clients",
  topic: "none",
  show(main) {
    const hints = h("div.stack"), list = h("section.panel");
    main.append(h("h1", {}, "Clients"), hints, list);
    const load = async () => {
      if (document.hidden) return;
      try {
        const found = await get("clients");
        fill(hints, hintsOf(found));
        fill(list, h("h2", {}, plural(found.clients.length, "client")), found.clients.length ? rows(found.clients) : h("p.hint", {}, "Nobody has asked anything yet."));
      } catch (error) {
        fill(list, h("p.error", { role: "alert" }, error.message));
      }
    };
    load();
    const timer = setInterval(load, EVERY_MS);
    return { leave: () => clearInterval(timer) };
  },
};

function hintsOf(found) {
  const said = [...(found.hints || []).map((hint) => ["", hint]),
    ...found.clients.flatMap((client) => (client.hints || []).map((hint) => [client.address || client.client || "", hint]))];
  if (!said.length) return h("p", {}, badge("ok", "No client does anything odd."));
  return h("section.panel", {}, h("h2", {}, "Hints"), h("ul.needs", {}, said.map(([who, hint]) => h("li.need.warn", {}, badge("warn", who || "network"), h("p", {}, hint.text || String(hint))))));
}

function rows(found) {
  const head = ["Client", "Protocol", "Group", ">Rate", ">Requests", ">Refused", ">Writes", "Asked for", ">Last heard"];
  return table(head, found.map((client) => h("tr", {},
    h("th", { scope: "row" }, client.address || client.client),
    h("td", {}, client.protocol),
    h("td", {}, client.group || "–"),
    h("td.number", {}, client.per_s === undefined ? "–" : `${client.per_s} /s`),
    h("td.number", {}, client.requests ?? "–"),
    h("td.number", {}, count(client.exceptions ?? client.errors)),
    h("td.number", {}, client.writes ?? "–"),
    h("td", {}, services(client.functions || client.services || {})),
    h("td.number", {}, `${duration(client.last_seen_s)} ago`))));
}

function count(found) {
  if (found === undefined || found === null) return "–";
  return typeof found === "object" ? Object.values(found).reduce((sum, one) => sum + one, 0) : found;
}

function services(found) {
  return Object.entries(found).map(([name, times]) => `${name} ×${times}`).join(", ") || "–";
}
