// What can be asked: the sixteen slots of every commandable point, its receipt, write and release; one-shot actions.

import { get, post } from "./api.js";
import { badge, duration, fill, h, moment, patch, sentence, setText, shown, withUnit, AUTHORITY, STATUS } from "./dom.js";
import { confirmed } from "./confirm.js";
import { input } from "./point.js";
import { reasons } from "./zones.js";

const ENDS = [[900, "15 minutes"], [3600, "1 hour"], [4 * 3600, "4 hours"], [12 * 3600, "12 hours"], [24 * 3600, "24 hours"]];
const RESULTS = { running: "warn", done: "ok", failed: "bad", unknown: "bad", "never run": "off" };

export const commands = {
  title: "Commands",
  topic: "none",
  show(main, app, query) {
    const view = new Commands(main, app, query.get("point") || "");
    return { load: () => view.load(), leave: () => view.leave() };
  },
};

class Commands {
  constructor(main, app, point) {
    this.app = app;
    this.only = point;
    this.search = h("input", { type: "search", value: point, placeholder: "name", oninput: () => this.filter() });
    this.list = h("div.cards.wide");
    this.actions = h("div.stack");
    this.cards = new Map();
    main.append(h("h1", {}, "Commands"),
      ...(app.mayCommand ? [] : [h("p.hint", {}, "You may look on: writing needs the role operator.")]),
      h("form.filters", { role: "search", onsubmit: (event) => event.preventDefault() }, h("label", {}, "Search", this.search)),
      this.list, this.actions);
    this.offs = [
      app.live.on("commands", ({ commands: rows }) => { for (const row of rows) this.take(row); }),
      app.live.on("structure", () => this.load()),
      app.live.on("anew", () => this.load()),
    ];
    this.second = setInterval(() => { for (const card of this.cards.values()) card.countdown(); }, 1000);
    this.fresh = setInterval(() => this.fire(), 2000);
  }

  leave() {
    for (const off of this.offs) off();
    clearInterval(this.second);
    clearInterval(this.fresh);
  }

  async load() {
    try {
      this.missed = [];
      const found = await get("commands");
      const rows = found.commands.toSorted((a, b) => a.point.localeCompare(b.point, "en", { numeric: true }));
      this.cards = new Map(rows.map((command) => [command.id, new Card(command, this.app, command.point === this.only)]));
      for (const row of this.missed) this.take(row);
      this.missed = null;
      fill(this.list, [...this.cards.values()].map((card) => card.element));
      if (!found.commands.length) fill(this.list, h("p.hint", {}, "Nothing can be commanded: no mapping says a command, or no resource is known yet."));
      this.signature = "";
      this.show(found.actions);
      this.filter();
    } catch (error) {
      fill(this.list, h("p.error", { role: "alert" }, error.message));
    }
  }

  take(command) {
    this.missed?.push(command);
    this.cards.get(command.id)?.take(command);
  }

  filter() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const card of this.cards.values()) {
      card.element.hidden = !words.every((word) => card.command.point.toLowerCase().includes(word));
    }
    for (const group of this.actions.querySelectorAll("[data-resource]")) {
      group.hidden = !words.every((word) => group.dataset.resource.toLowerCase().includes(word));
    }
  }

  // Results of actions are not in the stream: asked for while any runs or stands.
  async fire() {
    if (!this.busy || document.hidden) return;
    const found = await get("commands").catch(() => null);
    if (found) this.show(found.actions);
  }

  show(actions) {
    this.busy = actions.some((action) => action.receipt.result === "running");
    const groups = Map.groupBy ? Map.groupBy(actions, (action) => action.resource) : grouped(actions);
    const signature = JSON.stringify(actions);
    if (signature === this.signature) return;
    this.signature = signature;
    patch(this.actions, actions.length ? h("section.panel", {}, h("h2", {}, "One-shot actions"),
      h("p.hint", {}, "Sent once, never repeated, not even after a restart."),
      h("ul.actions", {}, [...groups].map(([resource, rows]) => h("li", { data: { resource } }, h("h3", {}, resource), rows.map((row) => this.action(row)))))) : null);
    this.filter();
  }

  action(row) {
    const result = row.receipt.result || "never run";
    const buttons = this.app.mayCommand ? row.codes.map(({ code, text }) => h("button.small", {
      type: "button", disabled: Boolean(row.obstacle), onclick: () => this.run(row, code, text),
    }, text || `code ${code}`)) : [];
    const clear = row.standing && this.app.mayCommand ? h("button.small.danger", { type: "button", onclick: () => this.run(row, 0, "clear") }, `Clear standing code ${row.standing}`) : null;
    return h("div.action", {}, h("span.what", {}, row.description || row.name), badge(RESULTS[result] || "off", result), h("span.row", {}, buttons, clear),
      row.receipt.error_text ? h("p.hint.reason", {}, sentence(row.receipt.error_text)) : null, row.obstacle ? h("p.hint.reason", {}, sentence(row.obstacle)) : null);
  }

  async run(row, code, text) {
    const lines = code ? [`${row.resource}: ${row.description || row.name}, ${text || `code ${code}`}.`, "It is sent once."] : [`${row.resource}: nothing is sent, the standing code is set to 0.`];
    if (!await confirmed(code ? "Send this to the product?" : "Clear the code?", lines, code ? "Send" : "Clear", true)) return;
    try {
      await post("action", { point: row.point, code });
      this.app.toast(code ? "Accepted; the result follows." : "Cleared.");
      this.show((await get("commands")).actions);
    } catch (error) {
      this.app.toast(error.message, "bad");
    }
  }
}

function grouped(actions) {
  const groups = new Map();
  for (const action of actions) groups.set(action.resource, [...(groups.get(action.resource) || []), action]);
  return groups;
}

class Card {
  constructor(command, app, open) {
    this.app = app;
    this.head = h("div.limit-head");
    this.pairs = h("dl.pairs");
    this.reason = h("p.hint.reason");
    this.slots = h("tbody");
    this.used = h("span.states");
    this.element = h("section.panel.command", { "aria-label": command.point }, this.head,
      command.description ? h("p.hint", {}, sentence(command.description)) : null, this.pairs, this.reason,
      app.mayCommand ? this.form(command) : null,
      h("details", { open }, h("summary", {}, "The sixteen slots ", this.used), h("div.scroll", { tabindex: "0", role: "region", "aria-label": "Slots" }, h("table.slots", {},
        h("thead", {}, h("tr", {}, ["Slot", "Value", "Written by", "Ends", ""].map((text) => h("th", { scope: "col" }, text)))), this.slots))));
    this.take(command);
  }

  take(command) {
    this.command = command;
    this.at = Date.now();
    const receipt = command.receipt, status = receipt.write_status || "idle", authority = receipt.authority || "init";
    patch(this.head, h("h2", {}, command.point), badge(STATUS[status] || "warn", status), badge(AUTHORITY[authority] || "off", authority), command.dry_run ? badge("warn", "dry run") : null);
    patch(this.pairs,
      h("dt", {}, "Asked now"), h("dd", {}, withUnit(command.value, command.unit, command.text), command.winner ? ` (slot ${command.winner})` : " (default)"),
      h("dt", {}, "In force"), h("dd", {}, receipt.applied === undefined ? "not known" : withUnit(receipt.applied, command.unit)),
      h("dt", {}, "Allowed"), h("dd", {}, allowed(command)),
      h("dt", {}, "Default"), h("dd", {}, withUnit(command.default, command.unit)));
    setText(this.reason, reasons(command).join(" "));
    this.reason.hidden = !this.reason.textContent;
    const used = command.slots.filter((slot) => slot && slot.value !== null).length;
    setText(this.used, used ? `${used} in use` : "all empty");
    patch(this.slots, command.slots.map((slot, place) => this.slot(slot, place + 1)));
    if (this.field?.element.type === "number") bound(this.field.element, command);
  }

  slot(slot, place) {
    const winner = place === this.command.winner;
    const name = h("th", { scope: "row" }, place, winner ? badge("ok", "rules") : null);
    if (!slot) return h("tr.empty", {}, name, h("td", {}, "–"), h("td"), h("td"), h("td"));
    const mine = this.app.mayAll || place === this.app.session.local_slot;
    return h("tr", { className: winner ? "winner" : "" }, name,
      h("td", {}, slot.value === null ? "released" : withUnit(slot.value, this.command.unit), slot.failsafe ? badge("grave", "failsafe") : null, slot.dry_run ? badge("warn", "dry run") : null),
      h("td", {}, slot.origin),
      this.left(h("td.left", { data: { left: slot.left_s === null ? "" : String(slot.left_s) } }, slot.left_s === null ? "never" : "")),
      h("td", {}, mine && this.app.mayCommand && slot.value !== null ? h("button.small.danger", { type: "button", onclick: () => this.release(place) }, "Release") : null));
  }

  countdown() {
    for (const cell of this.slots.querySelectorAll(".left")) this.left(cell);
  }

  left(cell) {
    if (cell.dataset.left) {
      const seconds = Number(cell.dataset.left) - (Date.now() - this.at) / 1000;
      setText(cell, seconds > 0 ? `in ${duration(seconds)}` : "ended");
    }
    return cell;
  }

  form(command) {
    this.field = input(command);
    if (this.field.element.type === "number") bound(this.field.element, command);
    this.ends = h("select", {}, ENDS.map(([seconds, text]) => h("option", { value: seconds, selected: seconds === 3600 }, text)));
    this.where = this.app.mayAll ? h("select", {}, Array.from({ length: 16 }, (_, place) => place + 1).filter((place) => place !== 6).map((place) => (
      h("option", { value: place, selected: place === this.app.session.local_slot }, place)))) : null;
    this.wrong = h("p.error", { role: "alert" });
    const unit = command.unit ? ` (${command.unit})` : "";
    return h("form.inline", { onsubmit: (event) => this.write(event) },
      h("label", {}, `New value${unit}`, this.field.element),
      h("label", {}, "Ends after", this.ends),
      this.where ? h("label", {}, "Slot", this.where) : null,
      h("button.primary", { type: "submit" }, "Write …"), this.wrong);
  }

  async write(event) {
    event.preventDefault();
    fill(this.wrong);
    const value = this.field.read();
    if (value === null) return;
    const command = this.command, slot = this.where ? Number(this.where.value) : this.app.session.local_slot, seconds = Number(this.ends.value);
    const ends = () => Date.now() / 1000 + seconds;
    const lines = [
      `${command.point}: from ${withUnit(command.value, command.unit)} to ${withUnit(value, command.unit)}, in slot ${slot}.`,
      `Allowed: ${allowed(command)}.`,
      `It ends in ${duration(seconds)}, at ${moment(ends() * 1000)}.`,
      command.winner && command.winner < slot ? `Slot ${command.winner} rules over it: the value takes effect when that one is released.` : null,
      command.winner > slot ? `Slot ${command.winner} (${withUnit(command.value, command.unit)}, ${command.slots[command.winner - 1].origin}) is overruled until then.` : null,
      command.dry_run ? "Dry run: nothing is sent." : "The product is told at once; watch until it is in force.",
    ];
    if (!await confirmed("Write this value?", lines, "Write")) return;
    try {
      this.take(await post("write", { point: command.point, value, slot, until: ends() }));
      this.field.element.value = this.field.element.tagName === "INPUT" ? "" : this.field.element.value;
      this.app.toast("Accepted, and in the evidence.");
    } catch (error) {
      fill(this.wrong, sentence(error.message));
    }
  }

  async release(slot) {
    const lines = [`${this.command.point}: slot ${slot} is emptied; the next one, or the default, becomes effective.`];
    if (!await confirmed("Release this slot?", lines, "Release", true)) return;
    try {
      this.take(await post("release", { point: this.command.point, slot }));
      this.app.toast("Released, and in the evidence.");
    } catch (error) {
      this.app.toast(error.message, "bad");
    }
  }
}

function allowed(command) {
  if (command.texts) return Object.keys(command.texts).join(", ");
  if (command.low === null && command.high === null) return command.type === "number" ? "not known yet" : command.type;
  const floor = lowest(command);
  const stop = command.stop_allowed ? "0 (stop), or " : "";
  return `${stop}${shown(floor)} to ${shown(command.high)} ${command.unit}`;
}

function lowest(command) {
  return command.floor !== null && command.floor !== undefined && command.floor > (command.low ?? -Infinity) ? command.floor : command.low;
}

// What the browser itself refuses: the range and the floor, which may become known later.
function bound(element, command) {
  const low = lowest(command);
  element.min = (command.stop_allowed ? Math.min(0, low ?? 0) : low) ?? "";
  element.max = command.high ?? "";
}
