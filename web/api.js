// Requests to this server: its errors as values, its key, its streams of events.
import { askForKey, key } from "./key.js";
import { lost, seen } from "./connection.js";

// The server sends something at least every 15 seconds while an answer is open; longer silence is a dead connection.
const SILENCE_MS = 45_000;

// What the server refused or failed at; `code` is stable, `message` says what to do next.
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ?? body?.error?.message ?? `The server answered ${status}.`);
    this.status = status;
    this.code = body?.error?.code ?? "";
    this.errors = body?.errors ?? [];
  }
}

// Nobody answered, or the answer broke off.
export class Unreachable extends Error {
  constructor() {
    super("The server does not answer. It may have been stopped or restarted.");
  }
}

// The answer, if it is a success. Asks for a key where one is needed, and sends the request again.
export async function send(path, options = {}) {
  for (;;) {
    const headers = new Headers(options.headers);
    if (key()) headers.set("Authorization", `Bearer ${key()}`);
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      throw failed(error);
    }
    seen();
    if (response.ok) return response;
    const problem = new Problem(response.status, await response.json().catch(() => null));
    if (response.status === 401 && (await askForKey(problem.message, headers.get("Authorization")))) continue;
    throw problem;
  }
}

export async function json(path, options) {
  const response = await send(path, options);
  return read(() => response.json());
}

export function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return json(path, { method: "POST", headers, body: JSON.stringify(body ?? {}) });
}

// The bytes at a path, as an address for an image: a plain `src` could send no key.
export async function picture(path) {
  const response = await send(path);
  return URL.createObjectURL(await read(() => response.blob()));
}

// Server-sent events of an answer: `{event, data, id}` each. `EventSource` could send no key and no body.
export async function* events(path, options = {}) {
  const headers = { ...options.headers, Accept: "text/event-stream" };
  const response = await send(path, { ...options, headers });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await read(() => soon(reader.read()));
      if (done) return;
      const blocks = (rest + value.replaceAll("\r", "")).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = parsed(block);
        if (event.data !== "") yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(block) {
  const event = { event: "message", data: "", id: "" };
  for (const line of block.split("\n")) {
    const [, name, value] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
    if (name === "data") event.data += event.data === "" ? value : `\n${value}`;
    else if (name in event) event[name] = value;
  }
  return event;
}

async function soon(part) {
  let timer;
  const silence = new Promise((_, reject) => (timer = setTimeout(reject, SILENCE_MS, new Error("silence"))));
  return Promise.race([part, silence]).finally(() => clearTimeout(timer));
}

async function read(part) {
  try {
    return await part();
  } catch (error) {
    throw failed(error);
  }
}

function failed(error) {
  if (error.name === "AbortError") return error;
  lost();
  return new Unreachable();
}
