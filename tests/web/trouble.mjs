// What goes wrong: a server that is gone in the middle of an edit, and one that wants a key.
import assert from "node:assert/strict";
import { Person } from "./browser.mjs";

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
    const other = await Person.at(browser, "about:blank");
    await other.page.setRequestInterception(true);
    other.page.on("request", (request) => {
      const open = !request.url().includes("/v1/") || request.headers().authorization === "Bearer sesame";
      if (open) return request.continue();
      request.respond({ status: 401, contentType: "application/json", body: JSON.stringify({ detail: "Send a key.", error: { code: "unauthorized" } }) });
    });
    await other.page.goto(server.url);
    await other.sees("This server asks for an API key");
    assert.deepEqual(await other.barriers(), []);
    await other.type("API key", "wrong");
    await other.press("Use key");
    await other.sees("The key was not accepted");
    await other.type("API key", "sesame");
    await other.press("Use key");
    await other.sees("Editor:");
    await other.press("make the circle blue");
    await other.press("Edit picture");
    await other.sees("Done in");
    const kept = await other.page.evaluate(() => [Object.values(sessionStorage), Object.values(localStorage), document.cookie]);
    assert.deepEqual(kept, [["sesame"], [], ""]);
    await other.page.close();
  });
}
