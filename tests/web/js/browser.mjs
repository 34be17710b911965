// One scenario in a real browser: node browser.mjs CHROMIUM BASE FILE SCENARIO. The scenario may ask the test for things
// that happen elsewhere ("the source goes down"): a line out, a line back. Exit code 0: everything held.

import { createInterface } from "node:readline";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const PASSWORDS = { vera: "viewers look on", oskar: "operators do it", adam: "admins may all" };
const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const [, , executablePath, base, file, name] = process.argv;
const scenarios = await import(`./${file}`);

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const browser = await chromium.launch({ executablePath, args: QUIET });
const faults = [];

const bench = {
  base,

  // What the test does meanwhile, by name; its answer as JSON.
  async ask(what) {
    process.stdout.write(`${JSON.stringify({ ask: what })}\n`);
    const { value } = await answers.next();
    return JSON.parse(value);
  },

  // A page of somebody who has just logged in; whatever the page says wrong fails the scenario.
  async open(user, { scheme = "light", width = 1280, section = "overview" } = {}) {
    const context = await browser.newContext({
      colorScheme: scheme,
      viewport: { width, height: 900 },
      reducedMotion: "reduce",
    });
    const page = await context.newPage();
    page.setDefaultTimeout(15000);
    page.on("crash", () => faults.push("the page has crashed"));
    page.on("pageerror", (error) => faults.push(`${error.stack}`));
    page.on("dialog", (dialog) => {
      faults.push(`a dialog of the browser: ${dialog.message()}`);
      dialog.dismiss();
    });
    page.on("console", (line) => {
      if (line.type() === "error" && !/Failed to load resource|net::ERR/.test(line.text())) faults.push(line.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(base)) faults.push(`loads ${request.url()}`);
    });
    await page.goto(base);
    await page.getByLabel("Name").fill(user);
    await page.getByLabel("Password").fill(PASSWORDS[user]);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("link", { name: "Overview" }).waitFor();
    if (section !== "overview")
      await page.evaluate((hash) => {
        location.hash = hash;
      }, section);
    return page;
  },

  // What axe finds that is serious or critical, in words.
  async judge(page, what) {
    if (!(await page.evaluate(() => Boolean(window.axe)))) await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const grave = found.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    const said = grave.map(
      ({ id, nodes }) =>
        `${what}: ${id}: ${nodes
          .slice(0, 3)
          .map((node) => `${node.html} ${node.failureSummary}`)
          .join(" | ")}`,
    );
    assert.deepEqual(said, []);
  },
};

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
try {
  await scenarios[name](bench);
  assert.deepEqual(faults, [], "the page said something wrong");
} catch (error) {
  process.stderr.write(`${error.stack}\n${faults.join("\n")}\n`);
  process.exitCode = 1;
} finally {
  await browser.close();
  process.exit();
}
