// Editing: examples, previews, scores, seeds, history, download, and files that are no pictures or too large.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { PHONE, DESKTOP } from "./browser.mjs";
import { PHOTO } from "./files.mjs";

export async function edits({ person, files, check, shoot }) {
  const { page } = person;

  await check("an example is edited, with previews on the way", async () => {
    await shoot("empty-desktop");
    await person.press("make the circle blue");
    await person.sees("64 × 64 pixels");
    const preview = page.waitForSelector('img[alt^="Preview after step"]');
    await person.press("Edit picture");
    await preview;
    await person.sees("Done in");
  });

  await check("the judge's scores are shown", async () => {
    for (const name of ["Change made", "Rest kept", "Overall"]) assert(await person.says(name), name);
    await shoot("edit-desktop");
  });

  await check("before and after are compared with the keyboard", async () => {
    const slider = await person.named("Compare before and after");
    await slider.focus();
    for (let presses = 0; presses < 3; presses += 1) await page.keyboard.press("ArrowRight");
    assert.equal(await slider.evaluate((element) => element.getAttribute("aria-valuetext")), "53 % before, 47 % after");
  });

  await check("a kept seed gives the same picture again", async () => {
    await person.press("Keep this seed");
    await person.press("Edit picture");
    await page.waitForFunction(() => document.querySelectorAll("#history img").length === 2);
    const same = await page.evaluate(() => {
      const pixels = (image) => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
        canvas.getContext("2d").drawImage(image, 0, 0);
        return canvas.toDataURL();
      };
      const [one, two] = [...document.querySelectorAll("#history img")].map(pixels);
      return one === two && one.length > 1000;
    });
    assert(same, "the two pictures differ");
  });

  await check("the best of four is chosen, and an earlier edit comes back from the history", async () => {
    await person.choose("Scoring", "Best of 4");
    await person.press("Edit picture");
    await person.sees("All 4 tries");
    await person.unfold("All 4 tries");
    await person.sees("(shown)");
    const items = await page.$$("#history button");
    assert.equal(items.length, 3);
    await items[2].click();
    await page.waitForFunction(() => !document.body.innerText.includes("All 4 tries"));
  });

  await check("the result is downloaded", async () => {
    const session = await page.createCDPSession();
    await session.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: files.directory });
    await person.press("Download", "link");
    const arrived = async () => (await readdir(files.directory)).find((name) => /^make-the-circle-blue-\d+\.png$/.test(name));
    for (let tries = 0; !(await arrived()) && tries < 100; tries += 1) await new Promise((resolve) => setTimeout(resolve, 100));
    const bytes = await readFile(`${files.directory}/${await arrived()}`);
    assert.equal(bytes.subarray(1, 4).toString(), "PNG");
  });

  await check("the page fits a phone", async () => {
    await page.setViewport(PHONE);
    assert((await person.overhang()) <= 0, `${await person.overhang()} px too wide`);
    await shoot("edit-phone", { fullPage: true });
    await page.setViewport(DESKTOP);
  });

  await check("a file that is no picture is said to be none", async () => {
    await person.press("Another picture");
    await person.pick("Choose a picture", files.text);
    await person.sees("“notes.txt” is not a picture that can be read here");
  });

  await check("a photo of 50 MB is scaled down with a notice, and edited", async () => {
    await person.pick("Choose a picture", files.photo);
    const height = Math.round((2048 * PHOTO.height) / PHOTO.width);
    await person.sees(`${PHOTO.width} × ${PHOTO.height} pixels, 50.`);
    await person.sees(`scaled down to 2048 × ${height} pixels`);
    await person.choose("Scoring", "Do not score");
    await person.type("What should change?", "make the background green");
    await person.press("Edit picture");
    await page.waitForFunction(() => document.querySelectorAll("#history img").length === 4);
    await shoot("large-photo");
  });
}
