// The playground, clicked through. `node tests/web/playground.mjs DIRECTORY` writes screenshots there.
import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { launch, Person } from "./browser.mjs";
import { demo } from "./demo.mjs";
import { edits } from "./edit.mjs";
import { files } from "./files.mjs";
import { accessibility, documentation, weight } from "./looks.mjs";
import { Server } from "./server.mjs";
import { trouble } from "./trouble.mjs";
import { tuning } from "./tune.mjs";

const directory = process.argv[2];
await mkdir(directory, { recursive: true });
const count = { passed: 0, failed: 0 };
const [server, browser, dropped] = await Promise.all([Server.start(), launch(), files()]);
const person = await Person.at(browser, server.url);

async function shoot(name, options = {}, page = person.page) {
  await page.screenshot({ path: join(directory, `${name}.png`), ...options });
}

async function check(name, act) {
  try {
    await act();
    count.passed += 1;
    console.log(`ok: ${name}`);
  } catch (error) {
    count.failed += 1;
    console.log(`FAILED: ${name}\n${error.stack}`);
    await shoot(`failed-${count.failed}`);
  }
}

const all = { browser, person, server, files: dropped, check, shoot };
try {
  await weight(all);
  await accessibility(all, "empty");
  await edits(all);
  await accessibility(all, "edit");
  await tuning(all);
  await accessibility(all, "tune");
  await trouble(all);
  await documentation(all);
  if (process.env.NPEDIT_WEB_DEMO) await demo(all);
  else console.log("skipped: the demo round, which takes minutes: NPEDIT_WEB_DEMO=1, and a release binary as NPEDIT_BINARY");
  await check("nothing was asked of another place, and nothing went wrong unseen", () => {
    assert.deepEqual([person.elsewhere, person.complaints], [[], []]);
  });
} finally {
  await browser.close();
  await server.stop();
  await rm(dropped.directory, { recursive: true, force: true });
}
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exitCode = count.failed > 0 ? 1 : 0;
