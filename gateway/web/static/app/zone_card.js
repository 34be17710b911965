// A zone: what it draws, against which limit, who holds that, for how long, and what became of it.

import { get } from "./api.js";
import {
  badge,
  duration,
  fill,
  h,
  number,
  patch,
  plural,
  sentence,
  setText,
  shown,
  withUnit,
  AUTHORITY,
  QUALITY,
  STATUS,
} from "./dom.js";
import { chart, HOUR_S } from "./chart.js";

export class ZoneCard {
  constructor(card, view) {
    this.card = card;
    this.view = view;
    this.current = h("dd.big");
    this.power = h("dd.big");
    this.limits = h("div.limits");
    this.figure = h("div.figure");
    this.members = h("ul.members");
    this.states = h("span.states");
    this.trouble = h("div.trouble");
    this.why = h("p.hint.why-not");
    const title = h("h2", {}, card.name);
    const figures = [];
    if (card.shows.current) figures.push(h("div", {}, h("dt", {}, "Current"), this.current));
    if (card.shows.power) figures.push(h("div", {}, h("dt", {}, "Power"), this.power));
    this.element = h(
      "section.panel.card",
      { "aria-label": `${card.kind} ${card.name}` },
      h("header", {}, title, h("span.hint", {}, `${card.source} · ${card.kind}`)),
      this.trouble,
      figures.length ? h("dl.figures", {}, figures) : null,
      this.why,
      this.limits,
      this.figure,
      card.members.length
        ? h(
            "details",
            { open: card.members.length <= 12 },
            h("summary", {}, plural(card.members.length, card.members[0].kind), " ", this.states),
            this.members,
          )
        : null,
    );
    this.rows = card.members.map((member) => this.member(member));
    fill(
      this.members,
      this.rows.map((row) => row.element),
    );
    this.refresh();
  }

  value(shows, what) {
    const found = shows[what];
    return found ? this.view.values.get(found.id) : null;
  }

  figureText(element, value) {
    if (!value) return;
    patch(
      element,
      shown(value.value, value.text),
      value.unit && value.value !== null ? h("small", {}, ` ${value.unit}`) : null,
      value.forced
        ? badge("grave", "out of service")
        : value.quality === "good"
          ? null
          : badge(...(QUALITY[value.quality] || ["bad", value.quality])),
    );
    element.title = value.reason || "";
  }

  refresh() {
    this.figureText(this.current, this.value(this.card.shows, "current"));
    this.figureText(this.power, this.value(this.card.shows, "power"));
    patch(this.trouble, this.card.trouble && badge("grave", this.card.trouble));
    const not = ["current", "power"].map((what) => this.value(this.card.shows, what)).filter((value) => value?.reason);
    setText(this.why, [...new Set(not.map((value) => sentence(value.reason)))].join(" "));
    const commands = this.card.limits.map((id) => this.view.commands.get(id)).filter(Boolean);
    patch(
      this.limits,
      commands.map((command) => this.limit(command)),
    );
    const counts = new Map();
    for (const row of this.rows) {
      const state = row.refresh();
      counts.set(state, (counts.get(state) || 0) + 1);
    }
    setText(this.states, [...counts].map(([state, count]) => `${count} ${state || "not known"}`).join(" · "));
  }

  limit(command) {
    const receipt = command.receipt;
    const holder = command.slots.find((slot) => slot && slot.slot === command.winner);
    const status = receipt.write_status || "idle";
    const asked = command.winner ? withUnit(command.value, command.unit, command.text) : "nothing asked";
    const applied = receipt.applied === undefined ? "not known" : withUnit(receipt.applied, command.unit);
    const left = h("span.left", {
      data: {
        left: holder && holder.left_s !== null ? String(holder.left_s) : "",
        at: String(command.at),
        ended: holder?.failsafe ? "its lease has ended" : "has ended",
      },
    });
    showLeft(left);
    return h(
      "div.limit",
      {},
      h(
        "div.limit-head",
        {},
        h("h3", {}, command.description || command.point.split("/").at(-1)),
        badge(STATUS[status] || "warn", status),
        receipt.authority && receipt.authority !== "controlled" && receipt.authority !== "autonomous"
          ? badge(AUTHORITY[receipt.authority] || "off", receipt.authority)
          : null,
        command.dry_run && status !== "dry run" ? badge("warn", "dry run") : null,
      ),
      h(
        "dl.pairs",
        {},
        h("dt", {}, "Asked"),
        h("dd", {}, asked),
        h("dt", {}, "In force"),
        h("dd", {}, applied, doubt(command), this.share(command, receipt.applied)),
        h("dt", {}, "Held by"),
        h("dd", {}, holder ? `slot ${holder.slot} · ${holder.origin}` : "nobody", left),
      ),
      reasons(command).map((reason) => h("p.hint.reason", {}, reason)),
      h(
        "div.row",
        {},
        h(
          "a.button.small",
          { href: `#commands?point=${encodeURIComponent(command.point)}` },
          this.view.app.mayCommand && !command.obstacle ? "Write or release" : "Show all slots",
        ),
      ),
    );
  }

  // How much of what is in force is drawn, as a bar with its words.
  share(command, applied) {
    const current = this.value(this.card.shows, "current");
    if (
      !current ||
      typeof current.value !== "number" ||
      command.quality !== "good" ||
      typeof applied !== "number" ||
      applied <= 0 ||
      current.unit !== command.unit
    )
      return null;
    const part = current.value / applied;
    const text = `${number(current.value)} of ${number(applied)} ${command.unit}`;
    const fillUp = h("span.fill"),
      bar = h("span.bar", { role: "img", "aria-label": text }, fillUp);
    fillUp.style.width = `${Math.min(100, Math.max(0, part * 100))}%`;
    if (part > 1.02) bar.classList.add("over");
    return [bar, h("span.hint", { "aria-hidden": "true" }, `drawn: ${text}`)];
  }

  countdown() {
    for (const left of this.limits.querySelectorAll(".left")) showLeft(left);
  }

  member(member) {
    const state = h("span.state"),
      power = h("span.power");
    const element = h(
      "li",
      {},
      Object.keys(member.shows).length
        ? h("button.quiet.name", { type: "button", onclick: () => this.open(member) }, member.name)
        : h("span", {}, member.name),
      state,
      power,
    );
    const refresh = () => {
      const shownState = this.value(member.shows, "state"),
        draws = this.value(member.shows, "power") || this.value(member.shows, "current");
      const good = shownState && (shownState.quality === "good" || shownState.quality === "stale");
      const text = member.trouble ? "trouble" : good ? shownState.text || shown(shownState.value) : "";
      patch(
        state,
        member.trouble
          ? badge("grave", member.trouble)
          : good
            ? badge(alarming(shownState) ? "bad" : shownState.quality === "good" ? "off" : "warn", text)
            : badge("bad", "not known"),
      );
      setText(power, draws ? withUnit(draws.value, draws.unit) : "");
      return text;
    };
    return { element, refresh };
  }

  open(member) {
    const first = Object.values(member.shows)[0];
    if (first) this.view.app.open(first.point);
  }

  get wanted() {
    const current = this.card.shows.current || this.card.shows.power;
    const command = this.card.limits
      .map((id) => this.view.commands.get(id))
      .find((found) => found && found.type === "number");
    const lines = [];
    if (current)
      lines.push({
        name: this.card.shows.current ? "current" : "power",
        style: "measured",
        point: current.point,
        unit: current.unit,
      });
    if (command) {
      lines.push({ name: "in force", style: "applied", point: `${command.point}.applied`, unit: command.unit });
      lines.push({ name: "asked", style: "asked", point: command.point, unit: command.unit });
    }
    return lines;
  }

  async history() {
    await Promise.all(
      this.wanted.map(async (line) => {
        if (this.view.lines.has(line.point)) return;
        const found = await get("history", { point: line.point }).catch(() => ({ rows: [] }));
        this.view.lines.set(line.point, found.rows);
      }),
    );
    this.chart();
  }

  chart() {
    const now = this.view.app.live.now();
    const lines = this.wanted.map((line) => ({ ...line, rows: within(this.view.lines.get(line.point) || [], now) }));
    if (lines.length) patch(this.figure, chart(lines, lines[0].unit, now, this.figure.clientWidth));
  }
}

// Whether the mapping calls this value an alarm.
function alarming(value) {
  return (value.alarms || []).includes(value.value);
}

export function reasons(command) {
  const unread =
    command.receipt.authority === "init" ? "not read since the last login: nothing is sent until it is" : "";
  return [...new Set([command.obstacle, command.receipt.error_text, unread].filter(Boolean).map(sentence))];
}

// What the product said last is no promise once it is not heard any more.
export function doubt(command) {
  if (command.quality === "good" || command.receipt.applied === undefined) return null;
  const [level, text] = QUALITY[command.quality] || ["bad", command.quality];
  return [" ", badge(level, text), command.reason ? h("span.hint", {}, ` ${sentence(command.reason)}`) : null];
}

function showLeft(left) {
  if (left.dataset.left === "") return;
  const seconds = Number(left.dataset.left) - (Date.now() - Number(left.dataset.at)) / 1000;
  setText(left, seconds > 0 ? ` · ends in ${duration(seconds)}` : ` · ${left.dataset.ended}`);
}

// The rows of the last hour, and the one before them, for its value stood at the hour's beginning.
function within(rows, now) {
  const first = rows.findIndex((row) => row[0] >= now - HOUR_S);
  if (first < 0) return rows.slice(-1);
  return rows.slice(Math.max(first - 1, 0));
}
