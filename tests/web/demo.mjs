// The newcomer's first round: no settings, the built-in bundle, set and recipe, to an adapter that is promoted by the gate as it is shipped.
import assert from "node:assert/strict";
import { Person } from "./browser.mjs";
import { Server } from "./server.mjs";

// Minutes on two cores; a test build on a busy machine takes longer.
const ROUND_MS = 1_200_000;

export async function demo({ browser, check, shoot }) {
  const server = await Server.start({}, []);
  const person = await Person.at(browser, server.url);
  const { page } = person;

  await check("with no settings at all: an edit and its score", async () => {
    await person.press("make the circle blue");
    await person.sees("64 × 64 pixels");
    await person.press("Edit picture");
    await person.sees("Done in");
    for (const name of ["Change made", "Rest kept", "Overall"]) assert(await person.says(name), name);
  });

  await check("the demo round is promoted by the gate", async () => {
    await person.press("Fine-tune", "tab");
    await person.choose("Training set", "demo");
    await person.choose("Recipe", "finetune-demo");
    await person.press("Start fine-tuning");
    // one wait in the page may not last as long
    const end = Date.now() + ROUND_MS;
    while (!(await page.$(".verdict")) && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 1000));
    await person.sees("now stands for this adapter");
    await page.mouse.move(5, 5);
    await shoot("demo-promoted", { fullPage: true }, page);
  });

  await check("its adapter makes the circle bigger", async () => {
    await person.press("Use in the editor");
    await person.press("make the circle blue");
    await person.sees("64 × 64 pixels");
    await person.type("What should change?", "make the circle bigger");
    await person.press("Edit picture");
    await person.sees("Done in");
    await shoot("demo-bigger", {}, page);
  });

  await check("nothing of it went wrong unseen", () => assert.deepEqual([person.elsewhere, person.complaints], [[], []]));
  await page.close();
  await server.stop();
}
