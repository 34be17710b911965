// The shell: who is logged in, the sections, the banners above them, and the state of the connection.

import { get, post } from "./api.js";
import { badge, fill, h, patch, plural, setText, withUnit } from "./dom.js";
import { Live } from "./live.js";
import { openPoint } from "./point.js";
import { overview } from "./overview.js";
import { zones } from "./zones.js";
import { points } from "./points.js";
import { commands } from "./commands.js";
import { clients } from "./clients.js";
import { evidence } from "./evidence.js";
import { downloads } from "./downloads.js";
import { log } from "./log.js";

const SECTIONS = { overview, zones, points, commands, clients, evidence, downloads, log };
const RENEW_MS = 5 * 60 * 1000;
const BANNERS = 3;
const SAME_END_S = 10;
const place = (id) => document.getElementById(id);

const live = new Live();
const app = {
  live,
  session: null,
  get mayCommand() {
    return this.session.role !== "viewer";
  },
  get mayAll() {
    return this.session.role === "admin";
  },
  go: (hash) => {
    location.hash = hash;
  },
  open: (point) => openPoint(app, point),
  toast,
};
const ends = new Map();
let shown;

async function start() {
  theme();
  app.session = await get("session");
  document.body.dataset.role = app.session.role;
  place("site").textContent = place("site").title = app.session.site || "EV gateway";
  place("user").textContent = `${app.session.user} · ${app.session.role}`;
  fill(
    place("tabs"),
    Object.entries(SECTIONS).map(([name, section]) =>
      h("a", { href: `#${name}`, data: { section: name } }, section.title, h("span.count", { hidden: true })),
    ),
  );
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    place("main").focus();
  });
  place("logout").addEventListener("click", () => {
    post("logout")
      .then(() => location.reload())
      .catch((error) => toast(error.message, "bad"));
  });
  live.on("overview", told);
  live.on("link", link);
  live.on("hello", () =>
    get("overview")
      .then(told)
      .catch(() => {}),
  );
  addEventListener("hashchange", route);
  setInterval(() => get("session").catch(() => {}), RENEW_MS);
  route();
}

function route() {
  const [name, ...rest] = location.hash.slice(1).split("?");
  const key = Object.hasOwn(SECTIONS, name) ? name : "overview";
  const section = SECTIONS[key],
    first = shown === undefined;
  shown?.leave?.();
  for (const tab of place("tabs").children) {
    if (tab.dataset.section === key) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  const main = fill(place("main"));
  main.dataset.section = key;
  document.title = `${section.title} · ${app.session.site || "EV gateway"}`;
  const view = section.show(main, app, new URLSearchParams(rest.join("?")));
  shown = view;
  live.follow(section.topic).then(() => {
    if (shown === view) view?.load?.();
  });
  scrollTo(0, 0);
  if (!first && document.activeElement === document.body) main.focus({ preventScroll: true });
}

// -- banners ----------------------------------------------------------------------------------------------------------

function told(now) {
  const count = place("tabs").querySelector('[data-section="overview"] .count');
  count.hidden = now.in_order;
  const things = plural(now.needs.length, "thing needs", "things need");
  if (count.title !== things) fill(count, String(now.needs.length), h("span.visually-hidden", {}, ` ${things} you`));
  count.title = things;
  const said = [];
  if (now.dry_run) said.push(banner("warn", "Dry run: nothing that is written here is sent to any product."));
  if (now.read_only) said.push(banner("warn", "Read-only: no limit is accepted from anybody."));
  for (const point of now.forced.slice(0, BANNERS)) {
    const user = point.user || "somebody";
    const until = endOf(point).toLocaleTimeString("en-GB", { timeStyle: "short" });
    const value = withUnit(point.value, point.unit);
    const text = `Out of service: ${point.point} shows ${value}, set by ${user}, until ${until}.`;
    const end =
      app.mayCommand && h("button.small", { type: "button", onclick: () => release(point.point) }, "Back into service");
    said.push(banner("grave", text, end));
  }
  if (now.forced.length > BANNERS) {
    const all = h("a", { href: "#points?quality=forced" }, `all ${now.forced.length} of them`);
    said.push(banner("grave", `Out of service: ${now.forced.length - BANNERS} more.`, all));
  }
  const banners = place("banners"),
    signature = JSON.stringify([now.dry_run, now.read_only, now.forced.map(({ point }) => point)]),
    focused = banners.contains(document.activeElement);
  if (banners.dataset.signature === signature) patch(banners, said);
  else fill(banners, said); // a button never becomes another point's under somebody's finger
  banners.dataset.signature = signature;
  if (focused && !banners.contains(document.activeElement)) place("main").focus({ preventScroll: true });
}

// The end is told in whole seconds that are left: what moves by a few is the same end.
function endOf({ point, left_s }) {
  const end = live.now() + left_s,
    told = ends.get(point);
  if (told === undefined || Math.abs(end - told) > SAME_END_S) ends.set(point, end);
  return new Date(ends.get(point) * 1000);
}

function banner(level, text, more = null) {
  return h(`p.banner.${level}`, {}, badge(level, text), more);
}

async function release(point) {
  try {
    await post("unforce", { point });
    toast("Back in service.");
  } catch (error) {
    toast(error.message, "bad");
  }
}

function link({ lost, asOf }) {
  const line = place("link");
  line.classList.toggle("lost", lost);
  document.body.classList.toggle("stale", lost);
  const since = asOf ? `, values as of ${asOf.toLocaleTimeString("en-GB")}` : "";
  fill(line, lost && [badge("bad", `Connection lost${since}`), h("span.hint", {}, "The page comes back by itself.")]);
}

let hide = 0;

function toast(text, level = "ok") {
  clearTimeout(hide);
  const box = fill(place("toast"), h(`p.${level}`, {}, badge(level, text)));
  if (box.matches(":popover-open")) box.hidePopover(); // shown again, it stands above a dialog
  box.showPopover();
  hide = setTimeout(() => box.hidePopover(), 8000);
}

function theme() {
  const button = place("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const now = () => root.dataset.theme || (dark.matches ? "dark" : "light");
  const say = () => setText(button, now() === "dark" ? "Light colours" : "Dark colours");
  const stored = localStorage.getItem("theme");
  if (stored === "light" || stored === "dark") root.dataset.theme = stored;
  button.addEventListener("click", () => {
    root.dataset.theme = now() === "dark" ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
    say();
  });
  dark.addEventListener("change", say);
  say();
}

start().catch((error) => fill(place("main"), h("p.error", { role: "alert" }, error.message)));
