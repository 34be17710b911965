// One point in a drawer: its addresses, where its value comes from, why it is bad; out of service and back.

import { get, post } from "./api.js";
import { badge, bacnetText, duration, fill, h, patch, sentence, setText, withUnit, QUALITY } from "./dom.js";
import { confirmed } from "./confirm.js";

const EVERY_MS = 2000;

export function openPoint(app, name) {
  const trouble = h("p.error", { role: "alert" }),
    said = h("div", {}, h("p.hint", {}, "Loading …")),
    service = h("div");
  const dialog = h(
    "dialog.drawer",
    {
      "aria-labelledby": "drawer-title",
      onclose: () => {
        clearInterval(timer);
        dialog.remove();
      },
    },
    h(
      "header",
      {},
      h("h2", { id: "drawer-title" }, name),
      h("button.small", { type: "button", onclick: () => dialog.close() }, "Close"),
    ),
    trouble,
    said,
    service,
  );
  const show = (point) => {
    setText(trouble, "");
    patch(said, described(point));
    const state = JSON.stringify([Boolean(point.forced_by), point.force_obstacle, point.unit, point.texts]);
    if (state === service.dataset.state) return;
    const focused = service.contains(document.activeElement);
    fill(service, forcing(app, point, show));
    service.dataset.state = state;
    if (focused) (service.querySelector("input, select, button") || dialog.querySelector("button")).focus();
  };
  const load = () =>
    get("point", { point: name })
      .then(show)
      .catch((error) => setText(trouble, error.message));
  document.body.append(dialog);
  dialog.showModal();
  load();
  const timer = setInterval(() => {
    if (!document.hidden) load();
  }, EVERY_MS);
}

function described(point) {
  const [level, text] = point.forced_by
    ? ["grave", "out of service"]
    : QUALITY[point.quality] || ["bad", point.quality || "not read"];
  return [
    h(
      "p.now",
      {},
      h("strong.big", {}, withUnit(point.value, point.unit, point.text)),
      " ",
      badge(level, text),
      point.age_s === null ? null : h("span.hint", {}, ` ${duration(point.age_s)} old`),
    ),
    point.forced_by
      ? h(
          "p.why.grave",
          {},
          `Set by ${point.forced_by.user || "somebody"}, ends in ${duration(point.forced_by.left_s)}: `,
          "Modbus, BACnet and this page show it, whatever the product says.",
        )
      : null,
    point.reason && !point.forced_by ? h("p.why", {}, sentence(point.reason)) : null,
    point.description ? h("p", {}, sentence(point.description)) : null,
    addresses(point),
    origin(point.origin),
  ];
}

function addresses(point) {
  const rows = (point.registers || []).map((place) =>
    h(
      "tr",
      {},
      h("td.number", {}, place.unit),
      h("td.number", {}, bitted(place)),
      h("td.number", {}, place.one_based),
      h("td.number", {}, place.holding),
      h("td.number", {}, place.input),
      h("td", {}, place.type),
    ),
  );
  const states = Object.entries(point.texts || {});
  return h(
    "section",
    {},
    h("h3", {}, "Addresses"),
    rows.length
      ? h(
          "div.scroll",
          { tabindex: "0", role: "region", "aria-label": "Modbus registers" },
          h(
            "table",
            {},
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                ["Unit", "0-based", "1-based", "Holding", "Input"].map((title) =>
                  h("th.number", { scope: "col" }, title),
                ),
                h("th", { scope: "col" }, "Type"),
              ),
            ),
            h("tbody", {}, rows),
          ),
        )
      : h("p.hint", {}, "No Modbus register."),
    h(
      "p",
      {},
      (point.objects || []).length ? `BACnet: ${point.objects.map(bacnetText).join(", ")}` : "No BACnet object.",
    ),
    states.length ? h("p", {}, `States: ${states.map(([name, code]) => `${code} ${name}`).join(", ")}`) : null,
  );
}

function bitted(place) {
  return place.bit === undefined || place.bit === null ? place.register : `${place.register}.${place.bit}`;
}

function origin(from) {
  const rows = [
    ["How", from.how],
    ["Request", from.request],
    ["Every", from.every_s ? duration(from.every_s) : null],
    ["Path", from.path],
    ["Path finds", from.raw],
    ["Scale", from.scale === "1" ? null : from.scale],
    ["Offset", from.offset === "0" ? null : from.offset],
    ["Answer seen", from.seen_s === null || from.seen_s === undefined ? null : `${duration(from.seen_s)} ago`],
  ];
  return h(
    "section",
    {},
    h("h3", {}, "Where it comes from"),
    h(
      "dl.pairs",
      {},
      rows
        .filter(([, value]) => value !== null && value !== undefined && value !== "")
        .map(([name, value]) => [h("dt", {}, name), h("dd.mono", {}, value)]),
    ),
    from.document
      ? h(
          "details",
          { open: true },
          h("summary", {}, "The product's JSON, secrets taken out", from.cut ? " (cut)" : ""),
          h("pre.json", { tabindex: "0" }, from.document),
        )
      : null,
  );
}

function forcing(app, point, show) {
  if (point.forced_by) {
    const end = app.mayCommand
      ? h(
          "button",
          { type: "button", onclick: () => act(app, show, "unforce", { point: point.point }) },
          "Back into service",
        )
      : null;
    return h("section", {}, h("h3", {}, "Out of service"), end);
  }
  if (!app.mayCommand) return null;
  if (point.force_obstacle)
    return h("section", {}, h("h3", {}, "Out of service"), h("p.hint", {}, sentence(point.force_obstacle)));
  const field = input(point);
  const submit = async (event) => {
    event.preventDefault();
    const value = field.read();
    if (value === null) return;
    const lines = [
      `${point.point} will show ${withUnit(value, point.unit)} on Modbus, BACnet and here, whatever the product says.`,
      "It ends after an hour, or when you bring it back.",
      "For a check-out only: nothing is sent to the product.",
    ];
    if (await confirmed("Take this point out of service?", lines, "Take out of service", true))
      await act(app, show, "force", { point: point.point, value });
  };
  return h(
    "section",
    {},
    h("h3", {}, "Out of service, for a check-out"),
    h(
      "form.inline",
      { onsubmit: submit },
      h("label", {}, `Value to show${point.unit ? ` (${point.unit})` : ""}`, field.element),
      h("button.danger", { type: "submit" }, "Take out of service"),
    ),
  );
}

async function act(app, show, what, body) {
  try {
    show(await post(what, body));
    app.toast(what === "force" ? "Out of service." : "Back in service.");
  } catch (error) {
    app.toast(error.message, "bad");
  }
}

// The control that fits a point's type, and how its value is read.
export function input(point) {
  const states = Object.keys(point.texts || {});
  if (states.length) {
    const element = h(
      "select",
      { required: true },
      states.map((name) => h("option", { value: name }, name)),
    );
    return { element, read: () => element.value };
  }
  if (point.type === "bool") {
    const element = h(
      "select",
      { required: true },
      h("option", { value: "true" }, "yes"),
      h("option", { value: "false" }, "no"),
    );
    return { element, read: () => element.value === "true" };
  }
  if (point.type === "string") {
    const element = h("input", { required: true });
    return { element, read: () => element.value };
  }
  const element = h("input", { type: "number", step: "any", required: true, inputMode: "decimal" });
  return {
    element,
    read: () => (element.value === "" || Number.isNaN(element.valueAsNumber) ? null : element.valueAsNumber),
  };
}
