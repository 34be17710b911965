// What people do on the page, each a scenario of browser.mjs; what they see is waited for, never slept for.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const SECTIONS = ["overview", "zones", "points", "commands", "clients", "evidence", "downloads", "log"];
const LIMIT = "evce/zone/Zone A/reduction";

async function go(page, section) {
  await page.evaluate((hash) => {
    location.hash = hash;
  }, section);
  await page
    .locator(`main[data-section="${section.split("?")[0]}"] h1`)
    .first()
    .waitFor();
}

// The section shows more than its title.
async function filled(page) {
  await page.locator("main .panel, main table").first().waitFor();
}

function sees(page, text) {
  return page.getByText(text).first().waitFor();
}

// What a button saves: the file's name and its text.
async function saved(page, button) {
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: button }).first().click(),
  ]);
  return { name: file.suggestedFilename(), text: await readFile(await file.path(), "latin1") };
}

async function becomes(page, see, wanted, seconds = 15) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await see();
    if (wanted(found)) return found;
    assert.ok(Date.now() < deadline, `never came true; last seen: ${JSON.stringify(found)}`);
    await page.waitForTimeout(50);
  }
}

const badge = (inside, text) =>
  inside
    .locator(".badge")
    .filter({ hasText: new RegExp(`^\\W*${text}$`) })
    .first();
const card = (page, point) => page.getByRole("region", { name: point, exact: true });

// -- a manager -----------------------------------------------------------------------------------------------------

export async function overview({ open, ask }) {
  const page = await open("vera");
  await page.getByRole("heading", { name: "In order" }).waitFor();
  await sees(page, "3 of 3 sources connected.");
  assert.equal(await page.title(), "Overview · Test car park");
  await ask("the charger goes down");
  const down = page.getByRole("heading", { name: "thing needs you" });
  await down.waitFor({ timeout: 40000 }); // three attempts in a row, with their back-off
  const need = page.getByRole("listitem").filter({ hasText: "garage-7" }).first();
  assert.match(await need.innerText(), /alarm\s+garage-7: .+/);
  await sees(page, /\d+ not good/);
  await page.getByRole("link", { name: /not good/ }).click();
  await page
    .getByRole("button", { name: /garage-7\/charger/ })
    .first()
    .waitFor();
  assert.deepEqual(await page.locator("tbody .badge.ok").count(), 0, "only what is not good");
  await page.locator("tbody td.quality-of").getByText(/cannot connect/).first().waitFor();
  await go(page, "zones");
  const charger = page.getByRole("region", { name: "charger garage-7" });
  await charger.locator(".why-not").getByText(/cannot connect/).waitFor();
  await go(page, "overview");
  await ask("the charger comes back");
  await page.getByRole("heading", { name: "In order" }).waitFor({ timeout: 40000 });
}

export async function failsafe({ open, ask }) {
  const page = await open("vera");
  await page.getByRole("heading", { name: "In order" }).waitFor();
  await ask("the BMS writes 40 A");
  await ask("a station is faulted");
  await ask("the BMS is not heard any more");
  await page.getByRole("heading", { name: "2 things need you" }).waitFor();
  const first = page.locator(".needs li").first();
  await page.locator(".needs li").nth(1).getByText(/Bay 001: station faulted/i).waitFor();
  assert.match(await first.innerText(), /failsafe\s+.*Zone A\/reduction: Slot 10 of modbus\/bms holds 10 A: nothing was heard/);
  await first.getByRole("link", { name: "Its slots" }).click();
  const limit = card(page, LIMIT);
  await becomes(
    page,
    () => limit.innerText(),
    (told) => /failsafe.+Asked now\s+10 A \(slot 10\)\s+In force\s+10 A/s.test(told),
  );
  assert.equal(await limit.locator("table.slots .winner .badge.grave").textContent(), "◆failsafe");
  await go(page, "zones");
  const zone = page.getByRole("region", { name: "zone Zone A" });
  await badge(zone, "failsafe").waitFor();
  await ask("the BMS writes 24 A");
  await becomes(
    page,
    () => zone.innerText(),
    (told) => /Asked\s+24 A\s+In force\s+24 A/.test(told) && /in 1 min|in \d+ s/.test(told),
  );
  assert.equal(await badge(zone, "failsafe").count(), 0);
}

export async function zones({ open, ask }) {
  const page = await open("vera", { section: "zones" });
  const zone = page.getByRole("region", { name: "zone Zone A" });
  await zone.waitFor();
  await ask("the BMS writes 40 A");
  await badge(zone, "in force").waitFor();
  const told = await becomes(
    page,
    () => zone.innerText(),
    (text) => /In force\s+40 A/.test(text),
  );
  assert.match(told, /Asked\s+40 A\s+In force\s+40 A/);
  assert.match(told, /slot 10 · modbus 127\.0\.0\.1:\d+ bms/);
  await becomes(
    page,
    () => zone.getByRole("img", { name: /The last hour/ }).getAttribute("aria-label"),
    (said) => /asked 40 A/.test(said),
  );
  await zone.getByText(/\d+ stations/).waitFor();
  await ask("a station is faulted");
  await zone.locator(".members .badge.bad").filter({ hasText: /faulted/i }).waitFor();
  await becomes(
    page,
    () => zone.locator("summary").innerText(),
    (told) => /1 faulted/i.test(told),
  );
  await zone.getByRole("button", { name: "Bay 001" }).click();
  await page.getByRole("dialog").getByText("Where it comes from").waitFor();
}

// -- an integrator ---------------------------------------------------------------------------------------------------

export async function points({ open, ask }) {
  const page = await open("vera", { section: "points" });
  const count = page.locator("main p[role=status]");
  const all = await becomes(
    page,
    () => count.innerText(),
    (said) => /^\d+ points of \d+$/.test(said),
    40,
  );
  assert.ok(Number(all.split(" ")[0]) >= 10000, all);
  assert.ok((await page.locator("tbody tr").count()) < 60, "only what is seen is drawn");
  const port = page.getByRole("region", { name: "Points" });
  await port.evaluate((box) => {
    box.scrollTop = box.scrollHeight;
  });
  await becomes(
    page,
    () => page.locator("tbody tr").last().getAttribute("aria-hidden"),
    (hidden) => hidden === "true",
  );
  await page.locator(`tbody tr[aria-rowindex="${Number(all.split(" ")[0]) + 1}"]`).waitFor();
  const search = page.getByLabel("Search");
  const from = Date.now();
  await search.fill("zone a reduction");
  await page.getByRole("button", { name: LIMIT, exact: true }).waitFor();
  assert.ok(Date.now() - from < 2000, "the search is quick");
  const row = page.getByRole("row").filter({ has: page.getByRole("button", { name: LIMIT, exact: true }) });
  const place = await ask("where the limit stands");
  assert.match(
    await row.innerText(),
    new RegExp(
      `${place.register} · 4${String(place.register + 1).padStart(4, "0")} · 3.+analog-value ${place.instance}`,
      "s",
    ),
  );
  await search.fill(String(place.register));
  await row.waitFor();
  await search.fill("zone a current");
  await page.getByRole("button", { name: "evce/zone/Zone A/current", exact: true }).click();
  const drawer = page.getByRole("dialog");
  await drawer.getByText(/GET https:\/\/127\.0\.0\.1:\d+\/api\/v2\/em\/zones\/1\/status/).waitFor();
  await drawer.getByText('"current"').waitFor();
  await page.keyboard.press("Escape");
  await search.fill("no such point");
  await sees(page, "No point fits what is asked for above.");
  await search.fill("");
  await page.getByLabel("Kind").selectOption("meter");
  await becomes(
    page,
    () => count.innerText(),
    (said) => Number(said.split(" ")[0]) < 100,
  );
  assert.equal(await page.locator("tbody button.name").filter({ hasNotText: "/meter/" }).count(), 0);
  await page.getByLabel("Kind").selectOption("");
  await search.fill("zone a/reduction.applied");
  await ask("the BMS writes 40 A");
  const applied = page
    .getByRole("row")
    .filter({ has: page.getByRole("button", { name: `${LIMIT}.applied`, exact: true }) });
  await becomes(
    page,
    () => applied.locator("td.value").innerText(),
    (value) => value === "40",
  );
  await go(page, "commands");
  await sees(page, "300 stations and other things have actions: search for one above.");
  const station = page.locator('li[data-resource="evce/station/Bay 299"]');
  assert.equal(await station.isVisible(), false);
  await search.fill("bay 299");
  await station.waitFor();
  await search.fill("no such name");
  await sees(page, "Nothing of this name can be commanded.");
}

export async function checkout({ open }) {
  const page = await open("oskar", { section: "points" });
  await page.getByLabel("Search").fill("zone a/power");
  await page.getByRole("button", { name: "evce/zone/Zone A/power", exact: true }).click();
  const drawer = page.getByRole("dialog", { name: "evce/zone/Zone A/power" });
  await drawer.getByLabel(/Value to show/).fill("12.5");
  await drawer.getByRole("button", { name: "Take out of service" }).click();
  const sure = page.getByRole("dialog", { name: "Take this point out of service?" });
  assert.match(
    await sure.innerText(),
    /will show 12\.5 kW on Modbus, BACnet and here.+nothing is sent to the product/s,
  );
  await sure.getByRole("button", { name: "Take out of service" }).click();
  await drawer.getByText(/^Set by oskar, ends in (1 h|59 min)/).waitFor();
  assert.equal(await badge(drawer, "good").count(), 0, "what somebody sets is not told as a good reading");
  const back = drawer.getByRole("button", { name: "Back into service" });
  await becomes(
    page,
    () => back.evaluate((button) => button === document.activeElement),
    (focused) => focused,
  );
  await drawer.getByText("12.5 kW", { exact: true }).waitFor();
  await drawer.getByRole("button", { name: "Close" }).click();
  await go(page, "clients");
  const banner = page
    .locator("#banners")
    .getByText(/Out of service: evce\/zone\/Zone A\/power shows 12\.5 kW, set by oskar, until \d\d:\d\d\.$/);
  await banner.waitFor();
  await go(page, "evidence");
  await page.getByRole("row").filter({ hasText: "forced" }).filter({ hasText: "oskar" }).first().waitFor();
  await page.getByRole("button", { name: "Back into service" }).click();
  await banner.waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => document.activeElement.id), "main", "the focus does not fall off the page");
}

// -- an operator -----------------------------------------------------------------------------------------------------

export async function commands({ open, ask }) {
  const page = await open("oskar", { section: `commands?point=${encodeURIComponent(LIMIT)}` });
  const limit = card(page, LIMIT);
  await limit.getByText("Allowed").waitFor();
  assert.match(await limit.innerText(), /Allowed\s+6 to 250 A/);
  assert.equal(await limit.locator("table.slots tbody tr").count(), 16);
  const field = limit.getByLabel("New value (A)");
  await field.fill("3");
  assert.equal(await field.evaluate((input) => input.checkValidity()), false, "the floor is known to the form");
  await field.fill("40");
  await limit.getByRole("button", { name: "Write …" }).click();
  const sure = page.getByRole("dialog", { name: "Write this value?" });
  assert.match(await sure.innerText(), /from 250 A to 40 A, in slot 8\..+Allowed: 6 to 250 A\..+It ends in 1 h 0 min/s);
  await sure.getByRole("button", { name: "Cancel" }).click();
  assert.deepEqual(await ask("what the product received"), []);
  await limit.getByRole("button", { name: "Write …" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Write", exact: true }).click();
  await badge(limit, "in force").waitFor();
  await becomes(
    page,
    () => limit.innerText(),
    (told) => /Asked now\s+40 A \(slot 8\)\s+In force\s+40 A/.test(told),
  );
  assert.deepEqual(await ask("what the product received"), [40]);
  const release = limit.getByRole("button", { name: "Release" });
  await release.focus();
  await ask("the BMS writes 60 A");
  await becomes(
    page,
    () => limit.innerText(),
    (told) => /2 in use/.test(told),
  );
  assert.ok(
    await release.evaluate((button) => button === document.activeElement),
    "what comes meanwhile leaves the focus alone",
  );
  assert.equal(await limit.getByRole("button", { name: "Release" }).count(), 1, "slot 10 is not an operator's");
  await page.keyboard.press("Enter");
  const asked = page.getByRole("dialog", { name: "Release this slot?" });
  assert.equal(await asked.locator(":focus").innerText(), "Cancel");
  assert.match(await asked.innerText(), /slot 8 is emptied\.\s+Then 60 A is asked, by slot 10 \(modbus .+ bms\)\./);
  await asked.getByRole("button", { name: "Release" }).click();
  await becomes(
    page,
    () => limit.innerText(),
    (told) => /Asked now\s+60 A \(slot 10\)\s+In force\s+60 A/.test(told),
  );
  await go(page, "evidence");
  for (const event of ["accepted", "verified", "released"]) {
    await page.getByRole("row").filter({ hasText: event }).filter({ hasText: "oskar" }).first().waitFor();
  }
  await page.getByRole("button", { name: "Verify the chain" }).click();
  await sees(page, /The chain is whole: \d+ records/);
  const table = await saved(page, "Save as CSV");
  assert.equal(table.name, "evidence.csv");
  assert.match(table.text, /accepted,page,127\.0\.0\.1,oskar,evce\/zone\/Zone A\/reduction,8,,40\.0,/);
  const [report] = await Promise.all([
    page.context().waitForEvent("page"),
    (async () => {
      await page
        .locator("section")
        .filter({ hasText: "Report of a reduction" })
        .getByLabel("Point")
        .selectOption(LIMIT);
      await page.getByRole("button", { name: "Open the report" }).click();
    })(),
  ]);
  await report.getByRole("heading", { name: LIMIT }).waitFor();
  assert.match(await report.locator("body").innerText(), /measured before.+oskar.+40 A/s);
}

export async function dry({ open, ask }) {
  const page = await open("oskar", { section: `commands?point=${encodeURIComponent(LIMIT)}` });
  await page.locator("#banners").getByText("Dry run: nothing that is written here is sent").waitFor();
  const limit = card(page, LIMIT);
  await limit.getByLabel("New value (A)").fill("40");
  await limit.getByRole("button", { name: "Write …" }).click();
  const sure = page.getByRole("dialog", { name: "Write this value?" });
  assert.match(await sure.innerText(), /Dry run: nothing is sent\./);
  await sure.getByRole("button", { name: "Write", exact: true }).click();
  await badge(limit.locator(".winner"), "dry run").waitFor();
  await sees(page, await ask("the request that would be sent"));
  assert.deepEqual(await ask("what the product received"), []);
}

export async function downloads({ open }) {
  const page = await open("vera", { section: "downloads" });
  const points = await saved(page, "points.json");
  assert.equal(points.name, "points.json");
  assert.ok(JSON.parse(points.text).points.some(({ point }) => point === LIMIT));
  assert.ok((await saved(page, /registers.*\.xlsx/)).text.startsWith("PK"));
  await sees(page, /^registers.*\.xlsx is made, and saved/);
  await sees(page, "No check-out report yet");
  await page.route("**/downloads/*", (route) => route.fulfill({ status: 503, json: { error: "not this minute" } }));
  await page.getByRole("button", { name: "points.json" }).click();
  await page.getByRole("alert").getByText("not this minute").waitFor();
}

// What changes while a section is loaded is neither lost nor, as once, gone through for ever.
export async function meanwhile({ open, ask }) {
  const page = await open("vera");
  for (const [section, loaded, shows] of [
    ["commands", "**/api/v1/commands", () => card(page, LIMIT)],
    ["zones", "**/api/v1/zones", () => page.getByRole("region", { name: "zone Zone A" })],
  ]) {
    const amps = await ask("the next limit");
    await page.evaluate(() => {
      window.ticks = 0;
      window.other = new EventSource("/api/v1/events?points=none");
      window.other.addEventListener("tick", () => (window.ticks += 1));
    });
    await page.route(loaded, async (route) => {
      const old = await route.fetch();
      await ask("the BMS writes it");
      const from = await page.evaluate(() => window.ticks);
      await page.waitForFunction((past) => window.ticks >= past + 3, from);
      await route.fulfill({ response: old });
    });
    await go(page, section);
    await becomes(
      page,
      () => shows().innerText(),
      (told) => new RegExp(`(Asked|Asked now)\\s+${amps} A`).test(told),
    );
    await page.evaluate(() => window.other.close());
    await page.unroute(loaded);
    await go(page, "overview");
  }
}

// Two loads of a section at once: the newest answer counts, and none of them is an error.
export async function twice({ open, ask }) {
  const page = await open("vera");
  for (const [section, loaded, shows] of [
    ["commands", "**/api/v1/commands", (name) => card(page, `evce/zone/${name}/reduction`)],
    ["zones", "**/api/v1/zones", (name) => page.getByRole("region", { name: `zone ${name}` })],
  ]) {
    let asked = 0;
    let again;
    const second = new Promise((resolve) => (again = resolve));
    let name;
    await page.route(loaded, async (route) => {
      asked += 1;
      if (asked > 1) again();
      const old = await route.fetch();
      if (asked === 1) {
        name = await ask("a zone gets another name");
        await second;
      }
      await route.fulfill({ response: old });
    });
    await go(page, section);
    await second;
    await shows(name).waitFor();
    assert.equal(await page.getByRole("alert").filter({ hasText: /\w/ }).count(), 0);
    await page.unroute(loaded);
    await go(page, "overview");
  }
}

// What happens while the log is loaded is in it once, though the stream tells it too.
export async function logged({ open, ask }) {
  const page = await open("vera");
  await page.evaluate(() => {
    window.ticks = 0;
    window.other = new EventSource("/api/v1/events?points=none");
    window.other.addEventListener("tick", () => (window.ticks += 1));
  });
  await page.waitForFunction(() => window.ticks > 0);
  await page.route("**/api/v1/log", async (route) => {
    await ask("adam logs in");
    await route.fulfill({ response: await route.fetch() });
  });
  await go(page, "log");
  const entry = page.getByRole("listitem").filter({ hasText: "page.login" }).filter({ hasText: "adam" });
  await entry.first().waitFor();
  const from = await page.evaluate(() => window.ticks);
  await page.waitForFunction((past) => window.ticks >= past + 3, from);
  assert.equal(await entry.count(), 1);
}

// A tablet whose clock is wrong: an hour is an hour of the gateway's.
export async function clock({ open }) {
  const page = await open("oskar");
  await page.addInitScript(() => {
    const real = Date.now.bind(Date);
    Date.now = () => real() - 2 * 3600 * 1000;
  });
  await page.reload();
  await page.getByRole("heading", { name: "In order" }).waitFor();
  await go(page, `commands?point=${encodeURIComponent(LIMIT)}`);
  const limit = card(page, LIMIT);
  await limit.getByLabel("New value (A)").fill("40");
  await limit.getByRole("button", { name: "Write …" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Write", exact: true }).click();
  await limit.locator(".winner").getByText(/in (59 min|1 h 0 min)/).waitFor();
}

export async function actions({ open, ask }) {
  const page = await open("oskar", { section: "commands" });
  const group = page.locator("li[data-resource]").filter({ hasText: "Bay 001" }).first();
  await group.getByRole("button", { name: "Soft" }).click();
  const sure = page.getByRole("dialog", { name: "Send this to the product?" });
  await sure.getByRole("button", { name: "Send" }).click();
  await badge(group, "done").waitFor();
  assert.equal(await ask("how many resets the product received"), 1);
}

export async function roles({ open, judge }) {
  const page = await open("vera");
  const writing = /^(Write|Release|Take out of service|Back into service|Soft|Hard|Clear)/;
  for (const section of SECTIONS) {
    await go(page, section);
    await page.locator("main .panel, main table").first().waitFor();
    assert.equal(await page.getByRole("button", { name: writing }).count(), 0, section);
  }
  await go(page, "commands");
  await card(page, LIMIT).waitFor();
  await sees(page, "writing needs the role operator");
  assert.equal(await page.locator("form.inline").count(), 0);
  const said = await page.evaluate(async (point) => {
    const headers = { "Content-Type": "application/json", "X-Evce-Page": "1" };
    const answer = await fetch("/api/v1/write", {
      method: "POST",
      headers,
      body: JSON.stringify({ point, value: 40 }),
    });
    return [answer.status, (await answer.json()).error];
  }, LIMIT);
  assert.deepEqual(said, [403, "vera is a viewer here; this needs the role operator"]);
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("button", { name: "Log in" }).waitFor();
  await judge(page, "the login");
}

// -- what goes wrong -------------------------------------------------------------------------------------------------

export async function connection({ open, ask }) {
  const page = await open("vera", { section: `points?search=${encodeURIComponent("zone a/reduction.applied")}` });
  const value = page.locator("td.value").first();
  await becomes(
    page,
    () => value.innerText(),
    (text) => text === "250",
  );
  await ask("the network is cut");
  const lost = page.getByText(/Connection lost, values as of \d\d:\d\d:\d\d/);
  await lost.waitFor();
  assert.equal(await value.innerText(), "250", "what was known stays, and is said to be old");
  await ask("the BMS writes 40 A");
  await ask("the network is back");
  await lost.waitFor({ state: "detached" });
  await becomes(
    page,
    () => value.innerText(),
    (text) => text === "40",
  );
  await ask("the network is cut");
  await lost.waitFor();
  await go(page, "zones");
  await sees(page, /Loading …|does not answer/);
  await ask("the network is back");
  await page.getByRole("region", { name: "zone Zone A" }).waitFor({ timeout: 40000 });
}

export async function names({ open }) {
  const page = await open("adam");
  for (const section of ["overview", "zones", "points?search=script", "commands", "evidence", "log"]) {
    await go(page, section);
    await page.getByText("<script>alert(1)</script>").first().waitFor();
    assert.equal(await page.locator("main script, main img[src], main b").count(), 0, section);
  }
  await go(page, "points?search=script");
  await page.locator("button.name").first().click();
  await page.getByRole("dialog").getByText("Where it comes from").waitFor();
  assert.equal(await page.evaluate(() => document.querySelectorAll("script").length), 1, "only the page's own");
}

async function accessibility({ open, judge }, scheme, width) {
  const page = await open("adam", { scheme, width });
  for (const section of SECTIONS) {
    await go(page, section);
    await filled(page);
    await judge(page, `${section}, ${scheme}, ${width}`);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${section} is ${over} pixels wider than ${width}`);
  }
  await go(page, "points?search=zone a/power");
  await page.locator("button.name").first().click();
  await page.getByRole("dialog").getByText("Where it comes from").waitFor();
  await judge(page, `the drawer, ${scheme}, ${width}`);
}

export const accessibility_light_1280 = (bench) => accessibility(bench, "light", 1280);
export const accessibility_light_820 = (bench) => accessibility(bench, "light", 820);
export const accessibility_dark_1280 = (bench) => accessibility(bench, "dark", 1280);
export const accessibility_dark_820 = (bench) => accessibility(bench, "dark", 820);

export async function keyboard({ open }) {
  const page = await open("vera", { section: "zones" });
  await page.getByRole("region", { name: "zone Zone A" }).waitFor();
  await page.reload();
  await page.getByRole("region", { name: "zone Zone A" }).waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  assert.equal(await page.locator("main").getAttribute("data-section"), "zones", "the skip link leads nowhere else");
  const station = page.getByRole("button", { name: "Bay 001" }).first();
  await station.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.ok(await station.evaluate((button) => button === document.activeElement), "the focus comes back");
  const theme = page.getByRole("button", { name: "Dark colours" });
  await theme.click();
  assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), "dark");
  await page.reload();
  await page.getByRole("button", { name: "Light colours" }).waitFor();
}
