// The README's pictures: `node tests/web/pictures.mjs SHEET.png DIRECTORY`. Seeds are fixed, so that nobody chooses the nicest.
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { launch, Person } from "./browser.mjs";
import { Server } from "./server.mjs";

// A page of text should not wait for its pictures.
const MOST_BYTES = 150_000;
const WEBP = { type: "webp", quality: 80 };

async function playground(browser, server, path) {
  const person = await Person.at(browser, server.url);
  await person.press("make the circle blue");
  await person.sees("64 × 64 pixels");
  await person.unfold("More settings");
  await person.type("Seed", "0");
  await person.unfold("More settings");
  await person.press("Edit picture");
  await person.sees("Done in");
  // The line between before and after goes through the circle.
  const slider = await person.named("Compare before and after");
  await slider.focus();
  for (let presses = 0; presses < 22; presses += 1) await person.page.keyboard.press("ArrowLeft");
  await person.page.evaluate(() => [document.activeElement.blur(), scrollTo(0, 0)]);
  await person.page.mouse.move(5, 5);
  await person.page.screenshot({ path, ...WEBP });
  await person.page.close();
}

async function sheet(browser, from, path) {
  const page = await browser.newPage();
  const url = `data:image/png;base64,${await readFile(from, "base64")}`;
  const image = await page.evaluate(async (url, { type, quality }) => {
    const image = Object.assign(new Image(), { src: url });
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: image.naturalWidth, height: image.naturalHeight });
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL(`image/${type}`, quality / 100);
  }, url, WEBP);
  await writeFile(path, Buffer.from(image.split(",")[1], "base64"));
  await page.close();
}

const [from, directory] = process.argv.slice(2);
await mkdir(directory, { recursive: true });
const [server, browser] = await Promise.all([Server.start(), launch()]);
const paths = ["playground", "edits"].map((name) => join(directory, `${name}.webp`));
try {
  await playground(browser, server, paths[0]);
  await sheet(browser, from, paths[1]);
} finally {
  await browser.close();
  await server.stop();
}
for (const path of paths) {
  const { size } = await stat(path);
  console.log(`${path}: ${size} bytes`);
  if (size > MOST_BYTES) throw new Error(`${path} has more than ${MOST_BYTES} bytes; lower its quality in tests/web/pictures.mjs`);
}
