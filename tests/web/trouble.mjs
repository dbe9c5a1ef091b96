// What goes wrong: a server that is gone in the middle of an edit, and one that wants a key.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Person } from "./browser.mjs";
import { Server } from "./server.mjs";

const KEY = "npe_of-one-tab-and-no-other";

export async function trouble({ browser, person, server, check }) {
  const { page } = person;

  await check("the server is killed in the middle of an edit: the page says so, and the edit is tried again", async () => {
    await person.press("Edit", "tab");
    await page.reload({ waitUntil: "networkidle0" });
    await person.press("make the circle blue");
    await person.choose("Scoring", "Best of 8");
    await person.unfold("More settings");
    await person.type("Steps", "8");
    const painting = page.waitForFunction(() => document.body.innerText.includes("Painting: step"), { polling: "mutation" });
    await person.press("Edit picture");
    await painting;
    await server.kill();
    await person.sees("The server does not answer. It may have been stopped or restarted.");
    await server.run();
    await person.sees("The server is back");
    await person.press("Try again");
    await person.sees("All 8 tries");
  });

  await check("a server with keys is given one, for this tab alone", async () => {
    const hash = createHash("sha256").update(KEY).digest("hex");
    const guarded = await Server.start({ NPEDIT__AUTH__KEYS: `tab:edit+score+finetune:${hash}` });
    const other = await Person.at(browser, guarded.url);
    await other.sees("This server asks for an API key");
    assert.deepEqual(await other.barriers(), []);
    await other.type("API key", "wrong");
    await other.press("Use key");
    await other.sees("The key was not accepted");
    await other.type("API key", KEY);
    await other.press("Use key");
    await other.sees("Editor:");
    await other.press("make the circle blue");
    await other.press("Edit picture");
    await other.sees("Done in");
    const kept = await other.page.evaluate(() => [Object.values(sessionStorage), Object.values(localStorage), document.cookie]);
    assert.deepEqual(kept, [[KEY], [], ""]);
    await other.page.close();
    await guarded.stop();
  });
}
