// The chain of records: who asked what, and what became of it; verified, exported, printed.

import { address, get, save } from "./api.js";
import { badge, fill, h, moment, patch, plural, setText } from "./dom.js";
import { table } from "./overview.js";

const EVENTS = [
  "accepted",
  "refused",
  "released",
  "sent",
  "verified",
  "found",
  "failsafe",
  "forced",
  "unforced",
  "acknowledged",
  "login",
  "login_failed",
  "logout",
  "password_changed",
  "recipients",
  "wiped",
];

export const evidence = {
  title: "Evidence",
  topic: "none",
  show(main, app) {
    const view = new Evidence(main, app);
    return { load: () => view.load(), leave: () => {} };
  },
};

class Evidence {
  constructor(main) {
    this.point = h("input", { type: "search", placeholder: "part of a point's name" });
    this.event = h("input", { list: "events", placeholder: "every event" });
    this.since = h("input", { type: "datetime-local", step: "1" });
    this.until = h("input", { type: "datetime-local", step: "1" });
    this.list = h("div.records", {}, h("p.hint", {}, "Loading …"));
    this.asOf = h("p.hint", { role: "status" });
    this.verdict = h("p", { role: "status" });
    this.shown = this.wanted;
    this.report = h("select", { "aria-label": "Point of the report" });
    this.records = [];
    main.append(
      h("h1", {}, "Evidence"),
      h(
        "form.filters",
        {
          role: "search",
          onsubmit: (event) => {
            event.preventDefault();
            this.load();
          },
        },
        h("label", {}, "Point", this.point),
        h("label", {}, "Event", this.event),
        h("label", {}, "Since", this.since),
        h("label", {}, "Until", this.until),
        h("button", { type: "submit" }, "Show"),
      ),
      h(
        "datalist",
        { id: "events" },
        EVENTS.map((name) => h("option", { value: name })),
      ),
      h(
        "div.row.tools",
        {},
        h("button", { type: "button", onclick: () => this.verify() }, "Verify the chain"),
        h("button", { type: "button", onclick: () => this.csv() }, "Save as CSV"),
      ),
      this.verdict,
      h(
        "section.panel",
        {},
        h("h2", {}, "Report of a reduction"),
        h("p.hint", {}, "Asked, in force, and measured before and after, in the time above; opens for printing."),
        h(
          "form.inline",
          { onsubmit: (event) => this.open(event) },
          h("label", {}, "Point", this.report),
          h("button", { type: "submit" }, "Open the report"),
        ),
      ),
      h("section.panel", {}, h("header.row", {}, h("h2", {}, "Records"), this.asOf), this.list),
    );
    get("commands")
      .then(({ commands }) =>
        fill(
          this.report,
          commands
            .map((command) => command.point)
            .sort((a, b) => a.localeCompare(b, "en", { numeric: true }))
            .map((point) => h("option", { value: point }, point)),
        ),
      )
      .catch(() => {});
  }

  get wanted() {
    const iso = (field) => (field.value ? new Date(field.value).toISOString() : "");
    return { point: this.point.value, event: this.event.value, since: iso(this.since), until: iso(this.until) };
  }

  async load(before = null) {
    const asked = (this.asked = {});
    const wanted = before === null ? this.wanted : this.shown;
    try {
      if (before === null) setText(this.asOf, "loading …");
      const found = await get("evidence", { ...wanted, before });
      if (asked !== this.asked) return;
      this.shown = wanted;
      if (before === null)
        setText(this.asOf, `as of ${new Date().toLocaleTimeString("en-GB")}, times of this device`);
      this.records = before === null ? found.records : [...this.records, ...found.records];
      const last = this.records.at(-1);
      const more =
        found.more && last
          ? h("button", { type: "button", onclick: () => this.load(last.seq) }, "Show older records")
          : null;
      patch(
        this.list,
        found.broken ? h("p", {}, badge("bad", found.broken)) : null,
        this.records.length ? rows(this.records) : h("p.hint", {}, "No record."),
        more,
      );
    } catch (error) {
      if (asked === this.asked) setText(this.asOf, "");
      if (asked === this.asked) fill(this.list, h("p.error", { role: "alert" }, error.message));
    }
  }

  async csv() {
    fill(this.verdict, "Collecting …");
    await save("evidence/csv", this.shown)
      .then(() => fill(this.verdict))
      .catch((error) => fill(this.verdict, h("span.error", {}, error.message)));
  }

  async verify(again = false) {
    if (!again) fill(this.verdict, "Verifying …");
    try {
      const said = await get("evidence/verify");
      const text = said.good
        ? `The chain is whole: ${plural(said.records, "record")}, the last is number ${said.last}, ` +
          `hash ${said.hash.slice(0, 16)}…`
        : `Broken at ${said.broken_at ?? "its beginning"}: ${said.broken}`;
      fill(
        this.verdict,
        badge(said.good ? "ok" : "bad", text),
        (said.admitted || []).map((line) => h("span.hint", {}, ` ${line}`)),
      );
    } catch (error) {
      if (error.status === 503 && this.verdict.isConnected) {
        fill(this.verdict, error.message); // a long chain: the same walk goes on when it is asked again
        setTimeout(() => this.verify(true), 1000);
      } else fill(this.verdict, h("span.error", {}, error.message));
    }
  }

  open(event) {
    event.preventDefault();
    const { since, until } = this.wanted;
    if (this.report.value)
      window.open(address("evidence/report", { point: this.report.value, since, until }), "_blank", "noopener");
  }
}

function rows(records) {
  const head = ["Number", "Time", "Event", "Point", ">Slot", "Old", "New", "By", "Answer", "Applied"];
  return table(
    head,
    records.map((record) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, record.seq),
        h("td.nowrap", {}, moment(record.utc)),
        h("td", {}, record.event),
        h("td", {}, record.point),
        h("td.number", {}, record.slot || ""),
        h("td", {}, record.old),
        h("td", {}, record.new),
        h("td", {}, [record.protocol, record.client, record.user].filter(Boolean).join(" · ")),
        h("td.answer", {}, record.answer),
        h("td", {}, record.applied),
      ),
    ),
  );
}
