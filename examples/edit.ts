/**
 * Edits a picture with the published openai package, first at once, then with previews while it is made.
 *
 *     cd examples && npm install && npm run build
 *     node build/edit.js cat.jpg 'make it winter'
 *
 * NPEDIT_BASE_URL names another server than http://127.0.0.1:8080, NPEDIT_API_KEY the key where it wants one.
 */
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import OpenAI from "openai";

const [picture, instruction, out = "."] = process.argv.slice(2);
if (!picture || !instruction) {
  console.error("usage: node build/edit.js PICTURE INSTRUCTION [DIRECTORY]");
  process.exit(2);
}

const client = new OpenAI({
  baseURL: `${process.env.NPEDIT_BASE_URL ?? "http://127.0.0.1:8080"}/v1`,
  apiKey: process.env.NPEDIT_API_KEY ?? "none",
});

async function save(name: string, base64: string | undefined): Promise<void> {
  if (!base64) throw new Error(`the answer has no ${name}`);
  const path = join(out, name);
  await writeFile(path, Buffer.from(base64, "base64"));
  console.log(`wrote ${path}`);
}

/** What OpenAI's API has no name for stands beside its fields. */
const own = { seed: 7, steps: 4 };

/** A stream can be read once. */
const request = () => ({ image: createReadStream(picture), prompt: instruction, ...own });

try {
  const answer = await client.images.edit({ ...request(), stream: false });
  await save("edited.png", answer.data?.[0]?.b64_json);
  console.log(`${answer.size}, request ${answer._request_id}`);

  const events = await client.images.edit({ ...request(), stream: true, partial_images: 2 });
  for await (const event of events) {
    if (event.type === "image_edit.partial_image") {
      await save(`preview-${event.partial_image_index}.png`, event.b64_json);
    } else if (event.type === "image_edit.completed") {
      await save("streamed.png", event.b64_json);
    }
  }
} catch (error) {
  if (error instanceof OpenAI.APIConnectionError) {
    console.error(`nothing answers at ${client.baseURL}: start npedit serve, or set NPEDIT_BASE_URL`);
  } else if (error instanceof OpenAI.APIError) {
    console.error(`${error.code}: ${error.message}`);
  } else {
    throw error;
  }
  process.exit(1);
}
