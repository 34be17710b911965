// Whether the site is in order, in one sentence; then what needs somebody, the sources, the servers.

import { get } from "./api.js";
import { badge, duration, fill, h, patch, plural, sentence, QUALITY } from "./dom.js";

const LEVEL = { failsafe: "grave", inhibited: "grave", alarm: "bad", warning: "warn" };
const STATES = { up: "ok", starting: "warn", down: "bad", paused: "warn", taken: "bad", refused: "bad" };

export const overview = {
  title: "Overview",
  topic: "none",
  show(main, app) {
    const headline = h("section.headline", { "aria-live": "polite" }, h("p.hint", {}, "Loading …"));
    const rest = h("div.stack");
    main.append(headline, rest);
    const draw = (now) => {
      patch(headline, verdict(now));
      patch(
        rest,
        needs(now),
        sources(now.sources),
        h("div.columns", {}, servers(now.servers), quality(now)),
        about(now),
      );
    };
    const load = () =>
      get("overview")
        .then(draw)
        .catch((error) => fill(headline, h("p.error", { role: "alert" }, error.message)));
    load();
    const offs = ["back", "anew"].map((kind) => app.live.on(kind, load));
    offs.push(app.live.on("overview", draw));
    return { leave: () => offs.forEach((off) => off()) };
  },
};

function verdict(now) {
  const connected = now.sources.filter((source) => source.connected).length;
  const wrong = ["stale", "bad", "config_error"].reduce((sum, key) => sum + (now.points[key] || 0), 0);
  const told = h(
    "p",
    {},
    `${connected} of ${plural(now.sources.length, "source")} connected. ${plural(now.points.good || 0, "point")} good`,
    wrong ? [", ", h("a", { href: "#points?quality=not_good" }, `${wrong} not good`)] : null,
    ".",
  );
  if (now.in_order) return h("div.verdict.ok", {}, h("h1", {}, badge("ok", "In order")), told);
  const grave = now.needs.some((need) => LEVEL[need.severity] === "grave");
  const level = grave ? "grave" : now.needs.some((need) => need.severity === "alarm") ? "bad" : "warn";
  const title = `${plural(now.needs.length, "thing needs", "things need")} you`;
  return h(`div.verdict.${level}`, {}, h("h1", {}, badge(level, title)), told);
}

function needs(now) {
  if (!now.needs.length) return null;
  const rows = now.needs.map((need) =>
    h(
      `li.need.${LEVEL[need.severity]}`,
      {},
      badge(LEVEL[need.severity], need.severity),
      h(
        "p",
        {},
        need.about && [h("strong", {}, need.about), ": "],
        sentence(need.text),
        need.severity === "failsafe"
          ? [" ", h("a", { href: `#commands?point=${encodeURIComponent(need.about)}` }, "Its slots")]
          : null,
      ),
    ),
  );
  return h("section.panel", {}, h("h2", {}, "What needs somebody"), h("ul.needs", {}, rows));
}

function sources(rows) {
  const head = ["Source", "State", "Last good answer", "Session", ">Poll", ">Errors"];
  const body = rows.map((source) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, source.name),
      h("td", {}, badge(level(source), source.state), words(source)),
      h("td.nowrap", {}, source.last_good_s === null ? "never" : `${duration(source.last_good_s)} ago`),
      h("td.nowrap", {}, source.session_age_s === null ? "–" : duration(source.session_age_s)),
      h("td.number", {}, source.poll_ms === null ? "–" : `${Math.round(source.poll_ms)} ms`),
      h("td.number", {}, source.errors),
    ),
  );
  const shown = rows.length ? table(head, body) : h("p.hint", {}, "No source is configured.");
  return h("section.panel", {}, h("h2", {}, "Sources"), shown);
}

function level(source) {
  const failing = Object.keys(source.failing || {}).length;
  return failing && source.state === "up" ? "warn" : STATES[source.state] || "warn";
}

function words(source) {
  const said = [];
  if (source.reason) said.push(source.reason);
  if (source.retry_in_s !== null && source.retry_in_s !== undefined)
    said.push(`tried again in ${duration(source.retry_in_s)}`);
  for (const [what, why] of Object.entries(source.failing || {})) said.push(`${what}: ${why}`);
  return said.length ? h("p.hint", {}, sentence(said.join("; "))) : null;
}

function servers(rows) {
  const head = ["Server", ">Port", ">Clients", ">Requests", ">Refused", ">Writes"];
  const body = rows.map((server) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, server.name),
      h("td.number", {}, server.port),
      h("td.number", {}, server.clients),
      h("td.number", {}, `${server.per_s} /s`),
      h("td.number", {}, server.refusals),
      h("td.number", {}, server.writes),
    ),
  );
  const shown = rows.length ? table(head, body) : h("p.hint", {}, "Neither Modbus nor BACnet is served.");
  return h("section.panel", {}, h("h2", {}, "Servers"), shown);
}

function quality(now) {
  const rows = Object.entries(QUALITY).map(([key, [level, text]]) =>
    h("li", {}, badge(level, text), h("a", { href: `#points?quality=${key}` }, plural(now.points[key] || 0, "point"))),
  );
  return h("section.panel", {}, h("h2", {}, "Points"), h("ul.quality", {}, rows));
}

function about(now) {
  return h(
    "p.hint.about",
    {},
    `Gateway ${now.version}, up ${duration(now.uptime_s)}, map ${now.map_hash}. Leases: ${now.lease}.`,
  );
}

// Titles that begin with > are those of numbers, and stand to the right as these do.
export function table(head, body) {
  return h(
    "div.scroll",
    { tabindex: "0", role: "region", "aria-label": `Table: ${head[0]}` },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          head.map((text) =>
            text.startsWith(">") ? h("th.number", { scope: "col" }, text.slice(1)) : h("th", { scope: "col" }, text),
          ),
        ),
      ),
      h("tbody", {}, body),
    ),
  );
}
