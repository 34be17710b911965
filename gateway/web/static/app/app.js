// The shell: who is logged in, the sections, the banners above them, and the state of the connection.

import { get, post } from "./api.js";
import { fill, h, plural, withUnit, duration, badge } from "./dom.js";
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
const place = (id) => document.getElementById(id);

const live = new Live();
const app = {
  live,
  session: null,
  get mayCommand() { return this.session.role !== "viewer"; },
  get mayAll() { return this.session.role === "admin"; },
  go: (hash) => { location.hash = hash; },
  open: (point) => openPoint(app, point),
  toast,
};
let shown = null;

async function start() {
  app.session = await get("session");
  document.body.dataset.role = app.session.role;
  place("site").textContent = app.session.site || "EV gateway";
  place("user").textContent = `${app.session.user} · ${app.session.role}`;
  fill(place("tabs"), Object.entries(SECTIONS).map(([name, section]) => (
    h("a", { href: `#${name}`, data: { section: name } }, section.title, h("span.count", { hidden: true }))
  )));
  place("logout").addEventListener("click", async () => {
    await post("logout");
    location.reload();
  });
  theme();
  live.on("overview", told);
  live.on("link", link);
  live.on("hello", () => get("overview").then(told).catch(() => {}));
  addEventListener("hashchange", route);
  setInterval(() => get("session").catch(() => {}), RENEW_MS);
  route();
}

function route() {
  const [name, ...rest] = decodeURIComponent(location.hash.slice(1)).split("?");
  const key = name in SECTIONS ? name : "overview";
  const section = SECTIONS[key];
  shown?.leave?.();
  for (const tab of place("tabs").children) {
    if (tab.dataset.section === key) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  const main = fill(place("main"));
  main.className = key;
  document.title = `${section.title} · ${app.session.site || "EV gateway"}`;
  shown = section.show(main, app, new URLSearchParams(rest.join("?"))) || null;
  live.follow(section.topic);
  scrollTo(0, 0);
}

// -- banners ----------------------------------------------------------------------------------------------------------

function told(now) {
  const count = place("tabs").querySelector('[data-section="overview"] .count');
  count.hidden = now.in_order;
  count.textContent = now.in_order ? "" : String(now.needs.length);
  count.setAttribute("aria-label", `${plural(now.needs.length, "thing needs", "things need")} somebody`);
  const said = [];
  if (now.dry_run) said.push(banner("warn", "Dry run: nothing that is written here is sent to any product."));
  if (now.read_only) said.push(banner("warn", "Read-only: no limit is accepted from anybody."));
  for (const point of now.forced) {
    const text = `Out of service: ${point.point} shows ${withUnit(point.value, "")}, set by ${point.user || "somebody"}, `
      + `for ${duration(point.left_s)} more.`;
    const end = app.mayCommand && h("button.small", { type: "button", onclick: () => release(point.point) }, "Back into service");
    said.push(banner("grave", text, end));
  }
  const signature = JSON.stringify([now.dry_run, now.read_only, now.forced]);
  const banners = place("banners");
  if (banners.dataset.signature === signature) return;
  banners.dataset.signature = signature;
  fill(banners, said);
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
  fill(line, lost && badge("bad", `Connection lost, values as of ${asOf ? asOf.toLocaleTimeString("en-GB") : "the start"}`));
}

let hide = 0;

function toast(text, level = "ok") {
  clearTimeout(hide);
  fill(place("toast"), h(`p.${level}`, {}, badge(level, text)));
  hide = setTimeout(() => fill(place("toast")), 8000);
}

function theme() {
  const button = place("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const now = () => root.dataset.theme || (dark.matches ? "dark" : "light");
  const say = () => { button.textContent = now() === "dark" ? "Light" : "Dark"; };
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
