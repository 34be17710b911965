// Every point in one table of which only the visible rows exist; searched and filtered here, changed by the stream.

import { get } from "./api.js";
import { badge, bacnetText, fill, h, modbusText, plural, roughly, setText, shown, QUALITY } from "./dom.js";

const ROW_PX = 38;
const PAGE = 1000;
const AGES_MS = 2000;
const COLUMNS = ["Point", "Value", "Unit", "Quality", "Age", "Modbus: 0-based · 4x · 3x", "BACnet object"];

export const points = {
  title: "Points",
  topic: "all",
  show(main, app, query) {
    const view = new Points(main, app, query);
    return { load: () => view.load(), leave: () => view.leave() };
  },
};

class Points {
  constructor(main, app, query) {
    this.app = app;
    this.rows = [];
    this.byId = new Map();
    this.found = [];
    this.drawn = new Map();
    this.search = h("input", {
      type: "search",
      value: query.get("search") || "",
      placeholder: "name or address",
      oninput: () => this.filter(),
    });
    this.source = this.select("every source");
    this.kind = this.select("every kind");
    this.quality = this.select("every quality", [
      ["not_good", "not good"],
      ["forced", "out of service"],
      ...Object.entries(QUALITY).map(([key, [, text]]) => [key, text]),
    ]);
    this.quality.value = query.get("quality") || "";
    this.count = h("p.hint", { role: "status" }, "Loading …");
    this.above = h("tr.space", { "aria-hidden": "true" }, h("td", { colSpan: COLUMNS.length }));
    this.below = h("tr.space", { "aria-hidden": "true" }, h("td", { colSpan: COLUMNS.length }));
    this.none = h(
      "tr.none",
      { hidden: true },
      h("td", { colSpan: COLUMNS.length }, "No point fits what is asked for above."),
    );
    this.body = h("tbody");
    this.table = h(
      "table.points",
      {},
      h("caption.visually-hidden", {}, "Points"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          COLUMNS.map((text) => h("th", { scope: "col" }, text)),
        ),
      ),
      this.body,
    );
    this.port = h(
      "div.port",
      { tabindex: "0", role: "region", "aria-label": "Points", onscroll: () => this.soon() },
      this.table,
    );
    main.append(
      h("h1", {}, "Points"),
      h(
        "form.filters",
        { role: "search", onsubmit: (event) => event.preventDefault() },
        h("label", {}, "Search", this.search),
        h("label", {}, "Source", this.source),
        h("label", {}, "Kind", this.kind),
        h("label", {}, "Quality", this.quality),
      ),
      this.count,
      this.port,
    );
    this.offs = [
      app.live.on("points", ({ rows }) => this.take(rows)),
      app.live.on("structure", () => this.load()),
      app.live.on("anew", () => this.load()),
      app.live.on("back", () => this.failed && this.load()),
    ];
    this.ages = setInterval(() => this.age(), AGES_MS);
    this.resized = new ResizeObserver(() => this.soon());
    this.resized.observe(this.port);
  }

  leave() {
    for (const off of this.offs) off();
    clearInterval(this.ages);
    this.resized.disconnect();
    this.left = true;
  }

  select(all, options = []) {
    return h(
      "select",
      { onchange: () => this.filter() },
      h("option", { value: "" }, all),
      options.map(([value, text]) => h("option", { value }, text)),
    );
  }

  async load() {
    const generation = (this.loading || 0) + 1;
    this.loading = generation;
    this.failed = false;
    this.missed = new Map();
    try {
      const rows = [];
      let total = 1;
      let columns = null;
      while (rows.length < total) {
        const page = await get("points", { limit: PAGE, offset: rows.length });
        if (this.left || generation !== this.loading) return;
        columns = page.columns;
        total = page.total;
        if (!page.rows.length) break;
        rows.push(...page.rows);
        setText(this.count, `Loading … ${rows.length} of ${total}`);
      }
      this.rows = rows.map((row) => this.point(columns, row));
      this.byId = new Map(this.rows.map((point) => [point.id, point]));
      this.drawn.clear();
      fill(this.body, this.above, this.none, this.below);
      this.options(this.source, new Set(this.rows.map((point) => point.source)));
      this.options(this.kind, new Set(this.rows.map((point) => point.kind)));
      this.apply([...this.missed.values()]);
      this.missed = null;
      this.filter();
    } catch (error) {
      if (this.left || generation !== this.loading) return;
      this.failed = true;
      this.missed = null;
      fill(this.count, h("span.error", { role: "alert" }, error.message));
    }
  }

  point(columns, row) {
    const point = Object.fromEntries(columns.map((name, place) => [name, row[place]]));
    point.modbusText = modbusText(point.modbus);
    point.bacnetText = bacnetText(point.bacnet);
    point.needle = `${point.point} ${point.resource} ${point.modbusText} ${point.bacnetText}`.toLowerCase();
    point.at = Date.now();
    return point;
  }

  options(select, names) {
    const chosen = select.value;
    fill(
      select,
      select.firstElementChild,
      [...names].sort().map((name) => h("option", { value: name }, name)),
    );
    select.value = names.has(chosen) ? chosen : "";
  }

  filter(stay = false) {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean).map(wordIn);
    const source = this.source.value,
      kind = this.kind.value,
      quality = this.quality.value;
    this.found = this.rows.filter(
      (point) =>
        (!source || point.source === source) &&
        (!kind || point.kind === kind) &&
        (!quality ||
          point.quality === quality ||
          (quality === "not_good" && point.quality !== "good") ||
          (quality === "forced" && point.forced)) &&
        words.every((holds) => holds(point.needle)),
    );
    setText(this.count, `${plural(this.found.length, "point")} of ${this.rows.length}`);
    this.none.hidden = this.found.length > 0;
    if (!stay) this.port.scrollTop = 0;
    this.draw();
  }

  // What changes while the points are loaded, page by page, is newer than what those pages say.
  take(rows) {
    for (const row of this.missed ? rows : []) this.missed.set(row[0], row);
    this.apply(rows);
  }

  apply(rows) {
    let matters = false;
    for (const [id, value, quality, reason, age_s, text, forced] of rows) {
      const point = this.byId.get(id);
      if (!point) continue;
      matters = matters || ((point.quality !== quality || point.forced !== forced) && this.quality.value !== "");
      Object.assign(point, { value, quality, reason, age_s, text, forced, at: Date.now() });
      const row = this.drawn.get(id);
      if (row) row.refresh();
    }
    if (matters && !this.due)
      this.due = setTimeout(() => {
        this.due = 0;
        if (!this.left) this.filter(true);
      }, 1000);
  }

  async age() {
    const ids = [...this.drawn.keys()];
    for (const row of this.drawn.values()) row.age();
    if (!ids.length || this.app.live.lost || document.hidden) return;
    const page = await get("points", { ids: ids.join(","), limit: PAGE }).catch(() => null);
    if (!page || this.left) return;
    const place = Object.fromEntries(page.columns.map((name, index) => [name, index]));
    for (const row of page.rows) {
      const point = this.byId.get(row[place.id]);
      if (point) Object.assign(point, { age_s: row[place.age_s], at: Date.now() });
    }
  }

  soon() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const first = Math.max(0, Math.floor(this.port.scrollTop / ROW_PX) - 5);
    const last = Math.min(this.found.length, first + Math.ceil(this.port.clientHeight / ROW_PX) + 12);
    const wanted = this.found.slice(first, last);
    const ids = new Set(wanted.map((point) => point.id));
    for (const [id, row] of this.drawn) {
      if (ids.has(id)) continue;
      row.element.remove();
      this.drawn.delete(id);
    }
    this.above.firstChild.style.height = `${first * ROW_PX}px`;
    this.below.firstChild.style.height = `${(this.found.length - last) * ROW_PX}px`;
    let before = this.above;
    wanted.forEach((point, place) => {
      let row = this.drawn.get(point.id);
      if (!row) {
        row = this.row(point);
        this.drawn.set(point.id, row);
      }
      row.element.setAttribute("aria-rowindex", String(first + place + 2));
      if (before.nextSibling !== row.element) before.after(row.element);
      before = row.element;
    });
    this.table.setAttribute("aria-rowcount", String(this.found.length + 1));
  }

  row(point) {
    const cut = point.point.lastIndexOf("/") + 1;
    const value = h("td.number.value"),
      quality = h("td.quality-of"),
      age = h("td.number");
    const element = h(
      "tr",
      {},
      h(
        "th",
        { scope: "row" },
        h(
          "button.quiet.name",
          {
            type: "button",
            title: point.point,
            "aria-label": point.point,
            onclick: () => this.app.open(point.point),
          },
          h("span.of", {}, point.point.slice(0, cut)),
          h("span", {}, point.point.slice(cut)),
        ),
      ),
      value,
      h("td", {}, point.unit),
      quality,
      age,
      h("td.mono", { title: point.modbusText }, point.modbusText),
      h("td.mono", { title: point.bacnetText }, point.bacnetText),
    );
    let told = "";
    const showAge = () => {
      const seconds = point.age_s === null ? null : point.age_s + (Date.now() - point.at) / 1000;
      setText(age, seconds === null ? "never" : roughly(seconds));
    };
    const refresh = () => {
      setText(value, shown(point.value, point.text));
      value.title = value.textContent;
      const state = `${point.quality}${point.forced}${point.reason || ""}`;
      if (state !== told) {
        const [level, text] = QUALITY[point.quality] || ["bad", point.quality];
        fill(
          quality,
          point.forced ? badge("grave", "out of service") : badge(level, text),
          point.reason ? h("span.of", {}, point.reason) : null,
        );
        told = state;
      }
      quality.title = point.reason || "";
      showAge();
    };
    refresh();
    return { element, refresh, age: showAge };
  }
}

// Whether a text holds a word: a short one as the beginning of a word, for "a" is in nearly everything.
function wordIn(word) {
  if (word.length > 2) return (text) => text.includes(word);
  const begins = new RegExp(`(^|[^a-z0-9])${word.replaceAll(/[^a-z0-9]/g, "\\$&")}`);
  return (text) => begins.test(text);
}
