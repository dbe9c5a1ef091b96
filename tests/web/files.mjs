// Files that a person may drop: a text, and a photo of about 50 MB.
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";

export const PHOTO = { width: 4200, height: 4000 };

export async function files() {
  const directory = await mkdtemp(join(tmpdir(), "npedit-files-"));
  const [text, photo, table, scene] = ["notes.txt", "photo.png", "rows.jsonl", "scene.png"].map((name) => join(directory, name));
  await writeFile(text, "no picture");
  await writeFile(photo, png(PHOTO.width, PHOTO.height, 0));
  await writeFile(scene, png(64, 64, 6));
  const row = (instruction) => JSON.stringify({ image: "scene.png", instruction });
  await writeFile(table, `${row("make it red")}\n${row("make it blue")}\n${row("make it red")}\n`);
  return { directory, text, photo, table, scene };
}

// A picture of coloured stripes; level 0 keeps its file as large as its pixels.
function png(width, height, level) {
  const line = 1 + 3 * width;
  const pixels = Buffer.alloc(line * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 1; x < line; x += 1) pixels[y * line + x] = (x * 7 + y * 3) & 255;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  const parts = [chunk("IHDR", header), chunk("IDAT", deflateSync(pixels, { level })), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), ...parts]);
}

function chunk(name, data) {
  const [length, sum, body] = [Buffer.alloc(4), Buffer.alloc(4), Buffer.concat([Buffer.from(name), data])];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}
