// From a file to a picture that the server takes.
import { bytes } from "./dom.js";

// Longest side that is sent: the editor works at a fraction of it, so that more only takes time.
const SIDE_PX = 2048;
const FILE_BYTES = 8e6;
const QUALITY = 0.92;

// The file holds no picture.
export class NoPicture extends Error {
  constructor(file) {
    const what = file.size === 0 ? "is empty" : "is not a picture that can be read here";
    super(`“${file.name}” ${what}. Choose a PNG, JPEG or WebP file.`);
  }
}

// The picture `{blob, url, width, height, name, notice}`, scaled down where it is over the limits (`/v1/models`).
export async function read(file, limits) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new NoPicture(file);
  });
  const { width, height } = bitmap;
  const share = fit(width, height, limits);
  const heavy = file.size > Math.min(FILE_BYTES, limits?.max_image_bytes ?? FILE_BYTES);
  const format = await formatOf(file);
  if (share === 1 && !heavy && format) {
    bitmap.close();
    return finished(file, { width, height, name: file.name, notice: "" });
  }
  const size = [width, height].map((side) => Math.max(1, Math.round(side * share)));
  const blob = await drawn(bitmap, size, format === "image/png" && !heavy ? "image/png" : "image/jpeg");
  bitmap.close();
  return finished(blob, { width: size[0], height: size[1], name: file.name, notice: said(file, [width, height], size, share) });
}

function finished(blob, about) {
  return { ...about, blob, url: URL.createObjectURL(blob) };
}

function fit(width, height, limits) {
  const side = Math.min(SIDE_PX, limits?.max_image_side_px ?? SIDE_PX);
  const pixels = limits?.max_image_pixels ?? SIDE_PX * SIDE_PX;
  return Math.min(1, side / Math.max(width, height), Math.sqrt(pixels / (width * height)));
}

function said(file, from, to, share) {
  const [before, after] = [from, to].map((size) => size.join(" × "));
  if (share === 1) return `“${file.name}” (${bytes(file.size)}) was written anew as a smaller file. Its size in pixels is the same.`;
  return `“${file.name}” is large: ${before} pixels, ${bytes(file.size)}. It was scaled down to ${after} pixels in this browser.`;
}

async function drawn(bitmap, [width, height], type) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  if (type === "image/jpeg") {
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
  }
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return new Promise((resolve) => canvas.toBlob(resolve, type, QUALITY));
}

// The media type by the first bytes, if the server reads it as it is.
async function formatOf(file) {
  const head = new Uint8Array(await file.slice(0, 12).arrayBuffer());
  const text = String.fromCharCode(...head);
  if (text.startsWith("\x89PNG")) return "image/png";
  if (text.startsWith("\xff\xd8\xff")) return "image/jpeg";
  return text.startsWith("RIFF") && text.endsWith("WEBP") ? "image/webp" : null;
}
