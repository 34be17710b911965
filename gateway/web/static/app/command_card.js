// One commandable point: what is asked and what is in force, its sixteen slots, write and release.

import { post } from "./api.js";
import {
  badge,
  duration,
  fill,
  h,
  moment,
  patch,
  sentence,
  setText,
  shown,
  withUnit,
  AUTHORITY,
  STATUS,
} from "./dom.js";
import { confirmed } from "./confirm.js";
import { input } from "./point.js";
import { doubt, reasons } from "./zone_card.js";

const ENDS = [
  [900, "15 minutes"],
  [3600, "1 hour"],
  [4 * 3600, "4 hours"],
  [12 * 3600, "12 hours"],
  [24 * 3600, "24 hours"],
];

export class CommandCard {
  constructor(command, app, open) {
    this.app = app;
    this.head = h("div.limit-head");
    this.pairs = h("dl.pairs");
    this.reason = h("p.hint.reason");
    this.slots = h("tbody");
    this.used = h("span.states");
    this.element = h(
      "section.panel.command",
      { "aria-label": command.point },
      this.head,
      command.description ? h("p.hint", {}, sentence(command.description)) : null,
      this.pairs,
      this.reason,
      app.mayCommand ? this.form(command) : null,
      h(
        "details",
        { open },
        h("summary", {}, "The sixteen slots ", this.used),
        h(
          "div.scroll",
          { tabindex: "0", role: "region", "aria-label": "Slots" },
          h(
            "table.slots",
            {},
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                ["Slot", "Value", "Written by", "Ends", ""].map((text) => h("th", { scope: "col" }, text)),
              ),
            ),
            this.slots,
          ),
        ),
      ),
    );
    this.take(command);
  }

  take(command) {
    this.command = command;
    this.at = Date.now();
    const receipt = command.receipt,
      status = receipt.write_status || "idle",
      authority = receipt.authority || "init";
    patch(
      this.head,
      h("h2", {}, command.point),
      badge(STATUS[status] || "warn", status),
      badge(AUTHORITY[authority] || "off", authority),
      command.dry_run && status !== "dry run" ? badge("warn", "dry run") : null,
    );
    patch(
      this.pairs,
      h("dt", {}, "Asked now"),
      h(
        "dd",
        {},
        withUnit(command.value, command.unit, command.text),
        command.winner ? ` (slot ${command.winner})` : " (default)",
      ),
      h("dt", {}, "In force"),
      h(
        "dd",
        {},
        receipt.applied === undefined ? "not known" : withUnit(receipt.applied, command.unit),
        doubt(command),
      ),
      h("dt", {}, "Allowed"),
      h("dd", {}, allowed(command)),
      h("dt", {}, "Default"),
      h("dd", {}, withUnit(command.default, command.unit)),
      command.would_send ? [h("dt", {}, "Would send"), h("dd.mono", {}, command.would_send)] : null,
    );
    setText(this.reason, reasons(command).join(" "));
    this.reason.hidden = !this.reason.textContent;
    const used = command.slots.filter((slot) => slot && slot.value !== null).length;
    setText(this.used, used ? `${used} in use` : "all empty");
    patch(
      this.slots,
      command.slots.map((slot, place) => this.slot(slot, place + 1)),
    );
    if (this.field?.element.type === "number") bound(this.field.element, command);
    if (this.send) this.send.disabled = Boolean(command.obstacle);
  }

  slot(slot, place) {
    const winner = place === this.command.winner;
    const name = h("th", { scope: "row" }, place, winner ? badge("ok", "rules") : null);
    if (!slot) return h("tr.empty", {}, name, h("td", {}, "–"), h("td"), h("td"), h("td"));
    const mine = this.app.mayAll || place === this.app.session.local_slot;
    return h(
      "tr",
      { className: winner ? "winner" : "" },
      name,
      h(
        "td",
        {},
        slot.value === null ? "released" : withUnit(slot.value, this.command.unit),
        slot.failsafe ? badge("grave", "failsafe") : null,
        slot.dry_run ? badge("warn", "dry run") : null,
      ),
      h("td", {}, slot.origin),
      this.left(
        h(
          "td.left",
          { data: { left: slot.left_s === null ? "" : String(slot.left_s) } },
          slot.left_s === null ? "never" : "",
        ),
      ),
      h(
        "td",
        {},
        mine && this.app.mayCommand && slot.value !== null
          ? h(
              "button.small.danger",
              { type: "button", "aria-label": `Release slot ${place}`, onclick: () => this.release(place) },
              "Release",
            )
          : null,
      ),
    );
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
    this.ends = h(
      "select",
      {},
      ENDS.map(([seconds, text]) => h("option", { value: seconds, selected: seconds === 3600 }, text)),
    );
    this.where = this.app.mayAll
      ? h(
          "select",
          {},
          Array.from({ length: 16 }, (_, place) => place + 1)
            .filter((place) => place !== 6)
            .map((place) => h("option", { value: place, selected: place === this.app.session.local_slot }, place)),
        )
      : null;
    this.wrong = h("p.error", { role: "alert" });
    this.send = h("button.primary", { type: "submit" }, "Write …");
    const unit = command.unit ? ` (${command.unit})` : "";
    return h(
      "form.inline",
      { onsubmit: (event) => this.write(event) },
      h("label", {}, `New value${unit}`, this.field.element),
      h("label", {}, "Ends after", this.ends),
      this.where ? h("label", {}, "Slot", this.where) : null,
      this.send,
      this.wrong,
    );
  }

  async write(event) {
    event.preventDefault();
    fill(this.wrong);
    const value = this.field.read();
    if (value === null) return;
    const command = this.command,
      slot = this.where ? Number(this.where.value) : this.app.session.local_slot,
      seconds = Number(this.ends.value);
    const ends = () => this.app.live.now() + seconds;
    const now = withUnit(command.value, command.unit);
    const lines = [
      `${command.point}: from ${now} to ${withUnit(value, command.unit)}, in slot ${slot}.`,
      `Allowed: ${allowed(command)}.`,
      `It ends in ${duration(seconds)}, at ${moment(ends() * 1000)}.`,
      command.winner && command.winner < slot
        ? `Slot ${command.winner} rules over it: the value takes effect when that one is released.`
        : null,
      command.winner > slot
        ? `Slot ${command.winner} (${now}, ${command.slots[command.winner - 1].origin}) is overruled until then.`
        : null,
      command.dry_run ? "Dry run: nothing is sent." : "The product is told at once; watch until it is in force.",
    ];
    if (!(await confirmed("Write this value?", lines, "Write"))) return;
    try {
      this.take(await post("write", { point: command.point, value, slot, until: ends() }));
      this.field.element.value = this.field.element.tagName === "INPUT" ? "" : this.field.element.value;
      this.app.toast("Accepted, and in the evidence.");
    } catch (error) {
      fill(this.wrong, sentence(error.message));
    }
  }

  // What is asked once a slot is empty, in words.
  after(slot) {
    const { command } = this;
    if (command.winner !== slot) return "It does not rule now: what is asked stays as it is.";
    const next = command.slots.find((held) => held && held.slot > slot && held.value !== null);
    return next
      ? `Then ${withUnit(next.value, command.unit)} is asked, by slot ${next.slot} (${next.origin}).`
      : `No other slot asks for anything: the default, ${withUnit(command.default, command.unit)}, is asked then.`;
  }

  async release(slot) {
    const lines = [
      `${this.command.point}: slot ${slot} is emptied.`,
      this.after(slot),
      this.command.dry_run ? "Dry run: nothing is sent." : null,
    ];
    if (!(await confirmed("Release this slot?", lines, "Release", true))) return;
    try {
      this.take(await post("release", { point: this.command.point, slot }));
      this.app.toast("Released, and in the evidence.");
      if (document.activeElement === document.body) this.element.querySelector("summary").focus(); // its button is gone
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
  return command.floor !== null && command.floor !== undefined && command.floor > (command.low ?? -Infinity)
    ? command.floor
    : command.low;
}

// What the browser itself refuses: the range and the floor, which may become known later.
function bound(element, command) {
  const low = lowest(command);
  element.min = (command.stop_allowed ? Math.min(0, low ?? 0) : low) ?? "";
  element.max = command.high ?? "";
}
