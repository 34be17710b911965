// Who reads and writes here, and what is probably wrong with it.

import { get } from "./api.js";
import { badge, duration, fill, h, patch, plural, sentence } from "./dom.js";
import { table } from "./overview.js";

const EVERY_MS = 3000;
const FUNCTIONS = {
  1: "read coils",
  2: "read discrete inputs",
  3: "read holding",
  4: "read input",
  5: "write coil",
  6: "write register",
  15: "write coils",
  16: "write registers",
  22: "mask write",
  23: "read and write",
  43: "identification",
};

export const clients = {
  title: "Clients",
  topic: "none",
  show(main) {
    const hints = h("div.stack"),
      list = h("section.panel", {}, h("p.hint", {}, "Loading …"));
    main.append(h("h1", {}, "Clients"), hints, list);
    const load = async () => {
      if (document.hidden) return;
      try {
        const found = await get("clients");
        patch(hints, hintsOf(found.hints));
        patch(
          list,
          h("h2", {}, plural(found.clients.length, "client")),
          found.clients.length ? rows(found.clients) : h("p.hint", {}, "Nobody has asked anything yet."),
        );
      } catch (error) {
        fill(list, h("p.error", { role: "alert" }, error.message));
      }
    };
    load();
    const timer = setInterval(load, EVERY_MS);
    return { leave: () => clearInterval(timer) };
  },
};

function hintsOf(hints) {
  if (!hints.length) return h("section.panel", {}, badge("ok", "No client does anything odd."));
  return h(
    "section.panel",
    {},
    h("h2", {}, "Hints"),
    h(
      "ul.needs",
      {},
      hints.map((hint) =>
        h(
          "li.need",
          {},
          badge("warn", hint.client || "network"),
          h("p", {}, sentence(hint.text), h("span.hint", {}, ` ${hint.protocol}, for ${duration(hint.since_s)}`)),
        ),
      ),
    ),
  );
}

function rows(found) {
  const head = [
    "Client",
    "Protocol",
    "Group",
    ">Open",
    ">Rate",
    ">Requests",
    ">Refused",
    ">Writes",
    "Asked for",
    ">Last heard",
  ];
  return table(
    head,
    found.map((client) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, client.address),
        h("td", {}, client.protocol),
        h("td", {}, client.group || "–"),
        h(
          "td.number",
          {},
          client.protocol === "modbus"
            ? plural(client.connections, "connection")
            : plural(client.subscriptions, "subscription"),
        ),
        h("td.number", {}, `${client.per_s} /s`),
        h("td.number", {}, client.requests),
        h("td.number", { title: codes(client.codes) }, client.exceptions),
        h("td.number", {}, client.writes),
        h("td", {}, services(client)),
        h("td.number", {}, `${duration(client.last_seen_s)} ago`),
      ),
    ),
  );
}

function codes(found) {
  return Object.entries(found || {})
    .map(([code, times]) => `${code} ×${times}`)
    .join(", ");
}

function services({ protocol, functions }) {
  const name = (code) => (protocol === "modbus" && FUNCTIONS[code] ? `${code} ${FUNCTIONS[code]}` : code);
  return (
    Object.entries(functions)
      .map(([code, times]) => `${name(code)} ×${times}`)
      .join(", ") || "–"
  );
}
