// A card for each zone, kept up to date, with the last hour of each line that is drawn.

import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { HOUR_S } from "./chart.js";
import { ZoneCard } from "./zone_card.js";

const REDRAW_MS = 5000;
const CLOSE_S = 2;

export const zones = {
  title: "Zones",
  topic: "cards",
  show(main, app) {
    const view = new Zones(main, app);
    return { load: () => view.load(), leave: () => view.leave() };
  },
};

class Zones {
  constructor(main, app) {
    this.app = app;
    this.list = h("div.cards", {}, h("p.hint", {}, "Loading …"));
    main.append(h("h1", {}, "Zones"), this.list);
    this.values = new Map();
    this.cards = [];
    this.commands = new Map();
    this.lines = new Map();
    this.offs = [
      app.live.on("points", ({ rows }) => this.take(rows)),
      app.live.on("commands", ({ commands }) => this.command(commands)),
      app.live.on("structure", () => this.load()),
      app.live.on("anew", () => this.load()),
      app.live.on("back", () => this.failed && this.load()),
      app.live.on("overview", (now) => this.troubles(now)),
    ];
    this.timer = setInterval(() => app.live.lost || this.charts(), REDRAW_MS);
    this.second = setInterval(() => this.tick(), 1000);
    this.resized = new ResizeObserver(() => this.charts());
    this.resized.observe(this.list);
  }

  leave() {
    this.asked = null;
    for (const off of this.offs) off();
    clearInterval(this.timer);
    clearInterval(this.second);
    this.resized.disconnect();
  }

  async load() {
    const asked = (this.asked = {});
    this.failed = false;
    try {
      this.missed = { points: [], commands: [] };
      const [{ zones: cards }, { commands }] = await Promise.all([get("zones"), get("commands")]);
      if (asked !== this.asked) return;
      this.cards = [...cards.filter((card) => card.members.length), ...cards.filter((card) => !card.members.length)];
      this.values.clear();
      for (const card of cards) {
        for (const value of Object.values(card.shows)) this.values.set(value.id, value);
        for (const member of card.members)
          for (const value of Object.values(member.shows)) this.values.set(value.id, value);
      }
      this.commands = new Map(commands.map((command) => [command.id, { ...command, at: Date.now() }]));
      this.lines.clear();
      this.draw();
      const { points, commands: newer } = this.missed;
      this.missed = null;
      this.take(points);
      this.command(newer);
      await this.history();
    } catch (error) {
      if (asked !== this.asked) return;
      this.failed = true;
      this.missed = null;
      fill(this.list, h("p.error", { role: "alert" }, error.message));
    }
  }

  // Why a zone or a station is not to be trusted is not in the stream: asked for when what needs somebody changes.
  async troubles({ needs }) {
    const told = JSON.stringify(needs.filter(({ severity }) => severity === "inhibited" || severity === "warning"));
    this.told ??= told;
    if (told === this.told || this.asking || !this.parts) return;
    const { asked } = this;
    this.asking = true;
    const found = await get("zones").catch(() => null);
    this.asking = false;
    if (!found || asked !== this.asked) return; // the next overview asks again
    this.told = told;
    const all = found.zones.flatMap((card) => [card, ...card.members]);
    const known = new Map(all.map((one) => [one.label, one.trouble]));
    for (const card of this.cards)
      for (const one of [card, ...card.members]) one.trouble = known.get(one.label) ?? one.trouble;
    this.refresh();
  }

  take(rows) {
    this.missed?.points.push(...rows);
    for (const [id, value, quality, reason, age_s, text, forced] of rows) {
      const known = this.values.get(id);
      if (!known) continue;
      Object.assign(known, { value, quality, reason, age_s, text, forced });
      this.record(known.point, value, quality);
    }
    this.refresh();
  }

  command(commands) {
    this.missed?.commands.push(...commands);
    for (const command of commands) {
      this.commands.set(command.id, { ...command, at: Date.now() });
      this.record(command.point, command.value, "good");
      if (command.receipt.applied !== undefined)
        this.record(`${command.point}.applied`, command.receipt.applied, "good");
    }
    this.refresh();
  }

  record(point, value, quality) {
    const rows = this.lines.get(point);
    if (!rows) return;
    const now = this.app.live.now(),
      known = quality === "good" || quality === "stale" ? value : null;
    if (rows.length && rows.at(-1)[1] === known) return;
    if (rows.length > 1 && now - rows.at(-2)[0] < CLOSE_S) rows.pop(); // closer than the chart can show
    rows.push([now, known, quality]);
    while (rows.length > 1 && rows[1][0] < now - HOUR_S) rows.shift();
  }

  draw() {
    if (!this.cards.length) {
      fill(this.list, h("p.hint", {}, "No zone is known yet: the source has not answered, or its mapping marks none."));
      return;
    }
    this.parts = this.cards.map((card) => new ZoneCard(card, this));
    fill(
      this.list,
      this.parts.map((part) => part.element),
    );
  }

  refresh() {
    for (const part of this.parts || []) part.refresh();
  }

  tick() {
    for (const part of this.parts || []) part.countdown();
  }

  async history() {
    await Promise.all((this.parts || []).map((part) => part.history()));
  }

  charts() {
    for (const part of this.parts || []) part.chart();
  }
}
