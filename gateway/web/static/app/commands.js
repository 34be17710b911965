// What can be asked: the sixteen slots of every commandable point, its receipt, write and release; one-shot actions.

import { get, post } from "./api.js";
import { badge, fill, h, patch, sentence, setText } from "./dom.js";
import { confirmed } from "./confirm.js";
import { CommandCard } from "./command_card.js";

const MOST_ACTIONS = 30;
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
    this.list = h("div.cards.wide", {}, h("p.hint", {}, "Loading …"));
    this.none = h("p.hint", { role: "status" });
    this.actions = h("div.stack");
    this.cards = new Map();
    main.append(
      h("h1", {}, "Commands"),
      ...(app.mayCommand ? [] : [h("p.hint", {}, "You may look on: writing needs the role operator.")]),
      h(
        "form.filters",
        { role: "search", onsubmit: (event) => event.preventDefault() },
        h("label", {}, "Search", this.search),
      ),
      this.none,
      this.list,
      this.actions,
    );
    this.offs = [
      app.live.on("commands", ({ commands: rows }) => {
        for (const row of rows) this.take(row);
      }),
      app.live.on("structure", () => this.load()),
      app.live.on("anew", () => this.load()),
      app.live.on("back", () => this.failed && this.load()),
    ];
    this.second = setInterval(() => {
      for (const card of this.cards.values()) card.countdown();
    }, 1000);
    this.fresh = setInterval(() => this.fire(), 2000);
  }

  leave() {
    this.asked = null;
    for (const off of this.offs) off();
    clearInterval(this.second);
    clearInterval(this.fresh);
  }

  async load() {
    const asked = (this.asked = {});
    this.failed = false;
    try {
      this.missed = [];
      const found = await get("commands");
      if (asked !== this.asked) return;
      const rows = found.commands.toSorted((a, b) => a.point.localeCompare(b.point, "en", { numeric: true }));
      this.cards = new Map(
        rows.map((command) => [command.id, new CommandCard(command, this.app, command.point === this.only)]),
      );
      const { missed } = this;
      this.missed = null;
      for (const row of missed) this.take(row);
      fill(
        this.list,
        [...this.cards.values()].map((card) => card.element),
      );
      if (!found.commands.length)
        fill(
          this.list,
          h("p.hint", {}, "Nothing can be commanded: no mapping says a command, or no resource is known yet."),
        );
      this.signature = "";
      this.show(found.actions);
      this.filter();
    } catch (error) {
      if (asked !== this.asked) return;
      this.failed = true;
      this.missed = null;
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
    const groups = [...this.actions.querySelectorAll("[data-resource]")],
      many = groups.length > MOST_ACTIONS && !words.length;
    for (const group of groups) {
      group.hidden = many || !words.every((word) => group.dataset.resource.toLowerCase().includes(word));
    }
    const wide = this.actions.querySelector(".many");
    if (wide) wide.hidden = !many;
    const panel = this.actions.firstElementChild;
    if (panel) panel.hidden = !many && groups.every((group) => group.hidden);
    const seen = [...this.list.children, ...groups].some((element) => !element.hidden);
    setText(this.none, words.length && !seen ? "Nothing of this name can be commanded." : "");
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
    patch(
      this.actions,
      actions.length
        ? h(
            "section.panel",
            {},
            h("h2", {}, "One-shot actions"),
            h("p.hint", {}, "Sent once, never repeated, not even after a restart."),
            h(
              "p.many",
              { hidden: true },
              `${groups.size} stations and other things have actions: search for one above.`,
            ),
            h(
              "ul.actions",
              {},
              [...groups].map(([resource, rows]) =>
                h(
                  "li",
                  { data: { resource } },
                  h("h3", {}, resource),
                  rows.map((row) => this.action(row)),
                ),
              ),
            ),
          )
        : null,
    );
    this.filter();
  }

  action(row) {
    const result = row.receipt.result || "never run";
    const buttons = this.app.mayCommand
      ? row.codes.map(({ code, text }) =>
          h(
            "button.small",
            {
              type: "button",
              disabled: Boolean(row.obstacle),
              "aria-label": `${text || `code ${code}`}, ${row.name} of ${row.resource}`,
              onclick: () => this.run(row, code, text),
            },
            text || `code ${code}`,
          ),
        )
      : [];
    const clear =
      row.standing && this.app.mayCommand
        ? h(
            "button.small.danger",
            { type: "button", onclick: () => this.run(row, 0, "clear") },
            `Clear standing code ${row.standing}`,
          )
        : null;
    return h(
      "div.action",
      {},
      h("span.what", {}, row.description || row.name),
      badge(RESULTS[result] || "off", result),
      h("span.row", {}, buttons, clear),
      row.receipt.error_text ? h("p.hint.reason", {}, sentence(row.receipt.error_text)) : null,
      row.obstacle ? h("p.hint.reason", {}, sentence(row.obstacle)) : null,
    );
  }

  async run(row, code, text) {
    const lines = code
      ? [`${row.resource}: ${row.description || row.name}, ${text || `code ${code}`}.`, "It is sent once."]
      : [`${row.resource}: nothing is sent, the standing code is set to 0.`];
    if (
      !(await confirmed(code ? "Send this to the product?" : "Clear the code?", lines, code ? "Send" : "Clear", true))
    )
      return;
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
