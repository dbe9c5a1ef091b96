// Fine-tuning: a set of one's own, a job that is watched, paused, reloaded, killed, promoted and used.
import assert from "node:assert/strict";
import { DESKTOP, PHONE } from "./browser.mjs";

// A training step of the debug build on a busy machine.
const SLOW_MS = 240_000;

export async function tuning({ person, server, files, check, shoot }) {
  const { page } = person;

  await check("a set is uploaded, and what was left out of it is said", async () => {
    await person.press("Fine-tune", "tab");
    await person.unfold("Upload a set of your own");
    await person.type("Name of the set", "mine");
    await person.pick("Choose files", files.table, files.scene);
    await person.press("Upload set");
    await person.sees("“mine” is kept and chosen: 2 examples");
    await person.sees("1 rows left out");
  });

  await check("a mistake in the settings is said before anything starts", async () => {
    await person.choose("Training set", "demo");
    await person.choose("Recipe", "quick");
    await person.unfold("More settings");
    await person.type("Adapter rank", "0");
    await person.sees("rank");
    await page.waitForSelector(".plan.bad");
    await person.type("Adapter rank", "2");
    await person.sees("10 steps on 77 examples");
  });

  await check("a job on the demo set is started and seen progressing", async () => {
    await person.press("Start fine-tuning");
    await person.sees("Step 2 of 10", SLOW_MS);
    await person.sees("The judge's probability of the right answer");
    await person.sees("Judge");
  });

  await check("a reload brings the job and its curves back", async () => {
    await page.reload({ waitUntil: "domcontentloaded" });
    await person.sees("of 10");
    await page.waitForSelector(".chart .smooth");
  });

  await check("a job is paused and goes on", async () => {
    await person.press("Pause", "button");
    await person.named("Resume", "button");
    await person.press("Resume", "button");
    await person.named("Pause", "button");
  });

  await check("the server is killed during the job: the page says so, and the job goes on", async () => {
    await server.kill();
    await person.sees("The server does not answer");
    await shoot("server-gone");
    await server.run();
    await person.sees("The server is back");
    await person.sees("Sample edits", SLOW_MS);
  });

  await check("the job ends, and its adapter is promoted with reasons", async () => {
    await person.sees("now stands for this adapter", SLOW_MS);
    await person.sees("Step 10 of 10");
    await person.sees("margin");
    await page.mouse.move(5, 5);
    await shoot("tune-desktop", { fullPage: true });
    await page.setViewport(PHONE);
    assert((await person.overhang()) <= 0, `${await person.overhang()} px too wide`);
    await shoot("tune-phone", { fullPage: true });
    await page.setViewport(DESKTOP);
  });

  await check("every step was told once", async () => {
    await person.unfold("Numbers");
    await page.waitForFunction(() => document.querySelectorAll(".chart.wide tbody tr").length >= 10);
    const steps = await page.$$eval(".chart.wide tbody tr", (rows) => rows.map((row) => Number(row.cells[0].textContent)));
    assert.deepEqual(steps, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  await check("the adapter is used for an edit", async () => {
    await person.press("Use in the editor");
    assert.match(await person.chosen("Adapter"), /^best/);
    await person.press("make the circle blue");
    await person.sees("64 × 64 pixels");
    await person.press("Edit picture");
    await person.sees("Done in");
  });

  await check("an adapter that was deleted while it is chosen is said to be gone", async () => {
    await remove(server.url, "v1/adapters/aliases/best");
    await person.press("Edit picture");
    await person.sees("is not there any more. The base model is chosen now");
    assert.equal(await person.chosen("Adapter"), "None (base model)");
    await person.press("Edit picture");
    await person.sees("Done in");
  });

  await check("a job is cancelled after a question", async () => {
    await person.press("Fine-tune", "tab");
    await person.press("Start fine-tuning");
    await person.press("Cancel job", "button");
    await person.press("Keep it running");
    await person.press("Cancel job", "button");
    await person.press("Yes, cancel it");
    await person.sees("cancelled", SLOW_MS);
  });
}

async function remove(url, path) {
  const answer = await fetch(url + path, { method: "DELETE" });
  assert(answer.ok, `${path}: ${answer.status}`);
}
