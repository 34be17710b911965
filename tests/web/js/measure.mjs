// What tests/benchmarks/page.py measures in a browser: a scenario of browser.mjs that prints one line of JSON.

const SECONDS = Number(process.env.SECONDS);
const BREATH_S = 10;

export async function pixels({ open }) {
  const page = await open("vera");
  const loaded = await page.evaluate(() => performance.getEntries().filter((entry) => entry.transferSize !== undefined && !entry.name.includes("/api/"))
    .map(({ transferSize, decodedBodySize }) => [transferSize, decodedBodySize]));
  const weight = loaded.reduce(([sent, whole], [a, b]) => [sent + a, whole + b], [0, 0]);
  await page.evaluate((point) => { location.hash = `points?search=${encodeURIComponent(point)}`; }, process.env.POINT);
  await page.locator("td.value").first().waitFor();
  const inspector = await page.context().newCDPSession(page);
  await page.evaluate(() => {
    window.delays = [];
    const cell = document.querySelector("td.value");
    new MutationObserver(() => requestAnimationFrame(() => {
      const written = Number(cell.textContent);
      if (written > 1e9) window.delays.push(Date.now() - written * 1000);
    })).observe(cell, { characterData: true, childList: true, subtree: true });
  });
  const memory = [];
  for (let gone = 0; gone < SECONDS; gone += BREATH_S) {
    await page.waitForTimeout(BREATH_S * 1000);
    await inspector.send("HeapProfiler.collectGarbage");
    memory.push((await inspector.send("Runtime.getHeapUsage")).usedSize / 1e6);
  }
  const delays = await page.evaluate(() => window.delays);
  process.stdout.write(`${JSON.stringify({ weight, memory, delays })}\n`);
}
