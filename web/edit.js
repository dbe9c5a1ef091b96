// The editing form: from a picture and a sentence to a result, step by step.
import { events, Problem, Unreachable } from "./api.js";
import * as adapters from "./adapters.js";
import { by, make, span, tell } from "./dom.js";
import * as past from "./past.js";
import * as pictures from "./picture.js";
import { showScores } from "./scores.js";
import * as stage from "./stage.js";

const STAGES = { preprocess: "Preparing the picture", text: "Reading the instruction", encode: "Reading the picture", denoise: "Painting", decode: "Painting", postprocess: "Finishing" };
let picture = null;
let limits = null;
let running = null;
let latest = null;

export const setLimits = (known) => (limits = known);

// Takes a file as the picture to edit, or says why not.
export async function take(file, instruction) {
  tell(by("picture-error"), "");
  tell(by("picture-note"), "");
  if (!file) return;
  let read;
  try {
    read = await pictures.read(file, limits);
  } catch (error) {
    tell(by("picture-error"), error.message);
    return;
  }
  use(read);
  tell(by("picture-note"), read.notice);
  if (instruction) by("instruction").value = instruction;
  // On a touch screen the focus would bring up a keyboard over the picture.
  if (matchMedia("(pointer: fine)").matches) by(instruction ? "run" : "instruction").focus({ preventScroll: true });
}

function use(next) {
  running?.abort();
  picture = next;
  latest = null;
  stage.showPicture(next);
  by("result").hidden = true;
  past.draw(null);
  say("");
}

function say(text, problem = "", retry = false) {
  by("edit-state").textContent = text;
  by("edit-error").firstElementChild.textContent = problem;
  by("edit-error").hidden = problem === "";
  by("retry").hidden = !retry;
}

// The request as it is sent; nothing is sent that was left open.
function request() {
  const form = new FormData();
  form.set("image", picture.blob, picture.name);
  form.set("instruction", by("instruction").value.trim());
  for (const name of ["seed", "steps"]) if (by(name).value !== "") form.set(name, by(name).value);
  const judging = by("judging").value;
  if (judging === "judge") form.set("judge", "true");
  else if (judging !== "none") form.set("best_of", judging);
  if (adapters.chosen()) {
    form.set("adapter", adapters.chosen());
    form.set("adapter_scale", by("scale").value || "1");
  }
  return form;
}

async function run() {
  if (running) return;
  const instruction = by("instruction").value.trim();
  if (!picture) return say("", "Choose a picture first: drop one, pick a file, or try an example.");
  if (instruction === "") {
    by("instruction").focus();
    return say("", "Say what should change, for example: make the sky purple.");
  }
  const edited = picture;
  const adapter = adapters.chosen();
  const ours = new AbortController();
  running = ours;
  busy(true);
  say("Sending the picture");
  by("stage").scrollIntoView({ block: "nearest" });
  try {
    const answer = await follow(events("/v1/edit", { method: "POST", body: request(), signal: ours.signal }));
    finish(answer, { instruction, picture: edited });
  } catch (error) {
    failed(error, adapter);
  } finally {
    running = null;
    busy(false);
  }
}

async function follow(stream) {
  let [done, of] = [0, 1];
  for await (const { event, data } of stream) {
    const value = JSON.parse(data);
    if (event === "stage" && done === 0) say(STAGES[value.stage] ?? "Working");
    if (event === "step") {
      ({ done, of } = value);
      say(done < of ? `Painting: step ${done} of ${of}` : "Finishing");
      stage.showProgress(done / of);
    }
    if (event === "preview" && value.image === 0) stage.showPreview(`data:image/png;base64,${value.b64_json}`, value.step + 1);
    if (event === "error") throw new Problem(value.status, value);
    if (event === "result") return value;
  }
  throw new Unreachable();
}

function finish(answer, { instruction, picture: edited }) {
  const image = answer.images[0];
  const bytes = Uint8Array.from(atob(image.b64_json), (letter) => letter.charCodeAt(0));
  const type = `image/${answer.receipt.output_format ?? "png"}`;
  const blob = new Blob([bytes], { type });
  latest = { answer, instruction, picture: edited, blob, url: URL.createObjectURL(blob), seed: image.seed };
  past.remember(latest);
  show(latest);
  say(`Done in ${span(answer.timings_ms.total / 1000)}.`);
}

function show(edit) {
  latest = edit;
  picture = edit.picture;
  stage.showPicture(picture);
  stage.showResult(edit.url, edit.instruction);
  by("result").hidden = false;
  showScores(by("scores"), edit.answer);
  by("download").href = edit.url;
  by("download").download = `${edit.instruction.replaceAll(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40)}-${edit.seed}.${edit.blob.type.split("/")[1]}`;
  const keep = make("button", { type: "button", className: "quiet", onclick: () => keepSeed(edit.seed) }, "Keep this seed");
  const steps = edit.answer.receipt.steps;
  const facts = [["Instruction", edit.instruction], ["Seed", edit.seed, keep], ["Steps", steps], ["Time", span(edit.answer.timings_ms.total / 1000)]];
  by("facts").replaceChildren(...facts.map(([name, value, ...more]) => make("div", {}, make("dt", {}, name), make("dd", {}, String(value), ...more))));
  const warnings = edit.answer.warnings.map((warning) => make("li", {}, warning.message));
  by("warnings").hidden = warnings.length === 0;
  by("warnings").replaceChildren(...warnings);
}

function keepSeed(seed) {
  by("seed").value = seed;
  by("seed").closest("details").open = true;
  say(`The next edit uses seed ${seed}.`);
}

function failed(error, adapter) {
  if (latest) show(latest);
  else stage.hidePreview();
  if (error.name === "AbortError") return say("Stopped.");
  if (error.code === "adapter_not_found") {
    adapters.fallBack(adapter);
    adapters.refresh().catch(() => {});
    return;
  }
  say("", error.message, !(error instanceof Problem) || error.status >= 500);
}

function busy(on) {
  by("run").disabled = on;
  by("run").textContent = on ? "Editing…" : "Edit picture";
  by("stop").hidden = !on;
  stage.showProgress(on ? 0 : null);
}

by("edit-form").addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
by("instruction").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  run();
});
by("retry").addEventListener("click", run);
by("stop").addEventListener("click", () => running?.abort());
by("file").addEventListener("change", ({ target }) => {
  take(target.files[0]);
  target.value = "";
});
by("another").addEventListener("click", () => {
  running?.abort();
  [picture, latest] = [null, null];
  stage.showNothing();
  by("result").hidden = true;
  tell(by("picture-note"), "");
  past.draw(null);
  by("file").focus();
});
by("further").addEventListener("click", async () => {
  const { blob, picture: before } = latest;
  const name = `edited-${before.name.replace(/^edited-/, "")}`;
  await take(new File([blob], name, { type: blob.type }), "");
  by("instruction").select();
});
past.onChoose((edit) => {
  running?.abort();
  show(edit);
  say("");
  past.draw(edit);
  by("instruction").value = edit.instruction;
  by("stage").scrollIntoView({ block: "nearest" });
});
adapters.onGone((text) => say("", text));

const drop = by("stage");
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    if (name === "drop" || !event.relatedTarget) drop.classList.remove("over");
  });
}
document.addEventListener("drop", (event) => !by("edit").hidden && take(event.dataTransfer.files[0]));
document.addEventListener("paste", (event) => !by("edit").hidden && event.clipboardData.files.length > 0 && take(event.clipboardData.files[0]));
