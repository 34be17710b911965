// What tests/benchmarks/page.py measures in a browser: a scenario of browser.mjs that prints one line of JSON.

const SECONDS = Number(process.env.SECONDS);
const BREATH_S = 10;

export async function pixels({ open }) {
  const page = await open("vera");
  const loaded = await page.evaluate(() =>
    performance
      .getEntries()
      .filter((entry) => entry.transferSize !== undefined && !entry.name.includes("/api/"))
      .map(({ transferSize, decodedBodySize }) => [transferSize, decodedBodySize]),
  );
  const weight = loaded.reduce(([sent, whole], [a, b]) => [sent + a, whole + b], [0, 0]);
  await page.evaluate((point) => {
    location.hash = `points?search=${encodeURIComponent(point)}`;
  }, process.env.POINT);
  await page.locator("td.value").first().waitFor();
  const inspector = await page.context().newCDPSession(page);
  await page.evaluate((point) => {
    window.delays = [];
    let last = 0;
    new MutationObserver(() =>
      requestAnimationFrame(() => {
        const row = document.querySelector(`button.name[title="${CSS.escape(point)}"]`)?.closest("tr");
        const written = Number(row?.querySelector("td.value").textContent);
        if (written > 1e9 && written !== last) window.delays.push(Date.now() - written * 1000);
        if (written > 1e9) last = written;
      }),
    ).observe(document.querySelector("table.points tbody"), { characterData: true, childList: true, subtree: true });
  }, process.env.POINT);
  const memory = [];
  for (let gone = 0; gone < SECONDS; gone += BREATH_S) {
    await page.waitForTimeout(BREATH_S * 1000);
    await inspector.send("HeapProfiler.collectGarbage");
    memory.push((await inspector.send("Runtime.getHeapUsage")).usedSize / 1e6);
  }
  const delays = await page.evaluate(() => window.delays);
  process.stdout.write(`${JSON.stringify({ weight, memory, delays })}\n`);
}
