// What holds for the page as a whole: weight, speed, accessibility, and the documentation beside it.
import assert from "node:assert/strict";
import { Person } from "./browser.mjs";

const MOST_BYTES = 300_000;
const FIRST_PAINT_MS = 1000;

export async function weight({ browser, server, check }) {
  await check("first paint in under a second, under 300 kB in all", async () => {
    let [paint, bytes] = [Infinity, 0];
    // The quickest of three: the machine may be busy with something else.
    for (let tries = 0; tries < 3; tries += 1) {
      // Nothing is kept from an earlier visit.
      const fresh = await browser.createBrowserContext();
      const person = await Person.at(fresh, server.url);
      await person.press("Fine-tune", "tab");
      await person.sees("Start fine-tuning");
      await person.page.waitForNetworkIdle();
      const [entry] = await person.page.evaluate(() => performance.getEntriesByName("first-contentful-paint").map(({ startTime }) => startTime));
      paint = Math.min(paint, entry);
      bytes = Math.max(bytes, person.bytes);
      await fresh.close();
    }
    console.log(`  first paint ${Math.round(paint)} ms, ${bytes} bytes over the wire`);
    assert(paint < FIRST_PAINT_MS, `${paint} ms`);
    assert(bytes < MOST_BYTES, `${bytes} bytes`);
  });
}

export async function accessibility({ person, check, shoot }, state) {
  for (const scheme of ["light", "dark"]) {
    await check(`no barrier is found: ${state}, ${scheme}`, async () => {
      await person.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      assert.deepEqual(await person.barriers(), []);
      if (scheme === "dark") await shoot(`${state}-dark`);
      await person.page.emulateMediaFeatures([]);
    });
  }
}

export async function documentation({ browser, server, check, shoot }) {
  await check("the API's documentation is served from the binary", async () => {
    const reader = await Person.at(browser, `${server.url}docs/`);
    await reader.sees("/v1/edit");
    await reader.sees("/v1/finetune");
    assert.deepEqual([reader.elsewhere, reader.complaints], [[], []]);
    await shoot("docs", {}, reader.page);
    await reader.page.close();
  });
}
