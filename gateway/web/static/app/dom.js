// Elements, texts and numbers. Nothing here makes HTML out of a string: names come from products and hold anything.

export function h(what, properties = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) hears(element, name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name in element && !name.includes("-") && typeof element[name] !== "object") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

function hears(element, kind, heard) {
  element.heard = { ...element.heard, [kind]: heard };
  element.addEventListener(kind, (event) => element.heard[kind](event));
}

// As fill, but what is there already stays and takes the new texts: focus, selection and scrolling survive.
export function patch(element, ...children) {
  const fresh = document.createDocumentFragment();
  append(fresh, children);
  alike(element, fresh);
  return element;
}

function alike(old, fresh) {
  const wanted = [...fresh.childNodes];
  wanted.forEach((node, place) => {
    const there = old.childNodes[place];
    if (!there) old.append(node);
    else if (there.nodeName === node.nodeName && hearing(there) === hearing(node)) become(there, node);
    else there.replaceWith(node);
  });
  while (old.childNodes.length > wanted.length) old.lastChild.remove();
}

function hearing(node) {
  return node.heard ? Object.keys(node.heard).join() : "";
}

// What a person opened stays open; a style is no attribute, for the content policy forbids those.
function become(old, fresh) {
  if (!(fresh instanceof Element)) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name, value } of fresh.attributes) {
    if (name !== "style" && name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (name !== "style" && name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  if (old.style.cssText !== fresh.style.cssText) old.style.cssText = fresh.style.cssText;
  old.heard = fresh.heard;
  alike(old, fresh);
}

function append(element, children) {
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  append(element, children);
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// -- texts ------------------------------------------------------------------------------------------------------------

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 2, useGrouping: false });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, useGrouping: false });

export function number(value) {
  if (typeof value !== "number") return String(value);
  return value !== 0 && Math.abs(value) < 0.1 ? fine.format(value) : plain.format(value);
}

// A value as people read it: the text of a state, yes or no, or a number; a dash for none.
export function shown(value, text = null) {
  if (value === null || value === undefined) return "–";
  if (text !== null && text !== undefined && text !== "") return `${text} (${value})`;
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "number" ? number(value) : String(value);
}

export function withUnit(value, unit, text = null) {
  const said = shown(value, text);
  return unit && said !== "–" ? `${said} ${unit}` : said;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

// In one unit, for a narrow column.
export function roughly(seconds) {
  return duration(seconds).replace(/^(\d+ (?:min|h|d)) .*/, "$1");
}

// A time of day, with its date when that is another day.
export function clock(unixSeconds) {
  const date = new Date(unixSeconds * 1000);
  const time = date.toLocaleTimeString("en-GB");
  return date.toDateString() === new Date().toDateString() ? time : `${date.toLocaleDateString("sv-SE")} ${time}`;
}

export function moment(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? iso : date.toLocaleString("sv-SE");
}

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

// With a capital and a full stop; a name that comes first keeps its own spelling.
export function sentence(text) {
  if (!text) return "";
  const word = /^[a-z]+(?=[ ,:]|$)/.test(text);
  return (word ? text.charAt(0).toUpperCase() : text.charAt(0)) + text.slice(1) + (/[.!?:]$/.test(text) ? "" : ".");
}

// -- states: a shape, a colour and a word ----------------------------------------------------------------------------

const SHAPES = { ok: "●", warn: "▲", bad: "■", grave: "◆", off: "○" };

export function badge(level, text) {
  return h(`span.badge.${level}`, {}, h("span.shape", { "aria-hidden": "true" }, SHAPES[level] || "●"), text);
}

export const QUALITY = {
  good: ["ok", "good"],
  stale: ["warn", "stale"],
  bad: ["bad", "bad"],
  config_error: ["grave", "config error"],
};

export const STATUS = {
  idle: "off",
  pending: "warn",
  sending: "warn",
  "in force": "ok",
  verifying: "warn",
  retrying: "bad",
  blocked: "bad",
  rejected: "bad",
  overridden: "bad",
  "dry run": "warn",
};

export const AUTHORITY = { init: "off", autonomous: "off", controlled: "ok", failsafe: "grave", inhibited: "grave" };

export function modbusText(modbus) {
  if (!modbus) return "–";
  const bit = modbus.bit === undefined || modbus.bit === null ? "" : `.${modbus.bit}`;
  const holding = modbus.holding ? ` · ${modbus.holding}` : "";
  const input = modbus.input ? ` · ${modbus.input}` : "";
  return `${modbus.register}${bit}${holding}${input}${modbus.unit > 1 ? ` · unit ${modbus.unit}` : ""}`;
}

export function bacnetText(bacnet) {
  return bacnet ? `${bacnet.object} ${bacnet.instance}` : "–";
}
