// The fine-tuning form: a set, a recipe, and a plan that the server has checked before anything is started.
import { json, post, send } from "./api.js";
import { by, bytes, make, span, tell } from "./dom.js";
import { started } from "./jobs.js";

const USUAL = ["finetune-demo", "np-edit-zimage"];
const WAIT_MS = 350;
let sets = [];
let waiting = 0;
let asked = 0;

// Reads sets and recipes anew.
export async function refresh() {
  const [known, recipes] = await Promise.all([json("/v1/datasets"), json("/v1/recipes")]);
  sets = known.data;
  const names = sets.filter(({ name }) => name !== "demo");
  fill(by("dataset"), [["demo", "demo (built in)"], ...names.map(({ id, name, report }) => [id, `${name} (${report.rows} examples)`])]);
  const named = recipes.data.map(({ name }) => name);
  named.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  fill(by("recipe"), named.map((name) => [name, name]));
  await plan();
}

const rank = (name) => (USUAL.includes(name) ? USUAL.indexOf(name) : USUAL.length);

function fill(select, options) {
  const before = select.value;
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  if (options.some(([value]) => value === before)) select.value = before;
}

function request() {
  const overrides = {};
  for (const [id, name] of [["tune-steps", "steps"], ["rank", "rank"], ["rate", "lr"], ["holdout", "holdout"]]) {
    const text = by(id).value.trim();
    // What is no number goes as it is: the server says what is wrong with it.
    if (text !== "") overrides[name] = Number.isFinite(Number(text)) ? Number(text) : text;
  }
  const body = { dataset: by("dataset").value, recipe: by("recipe").value, overrides };
  if (by("publish").value.trim() !== "") body.publish_as = by("publish").value.trim();
  return body;
}

// Asks what would be run, and says it in a sentence.
async function plan() {
  const ours = (asked += 1);
  const place = by("plan");
  const set = sets.find(({ id }) => id === by("dataset").value);
  by("dataset-hint").textContent = set ? about(set.report) : "Scenes with an edit that the editor was never trained on.";
  if (by("recipe").value === "") return;
  try {
    const answer = await post("/v1/finetune", { ...request(), validate_only: true });
    if (ours !== asked) return;
    const time = answer.estimated_secs === null ? "" : `, about ${span(answer.estimated_secs)}`;
    place.className = "plan";
    place.textContent = `${answer.steps} steps on ${answer.rows_trained_on} examples${time}. ${answer.rows_held_out} more are held out to check the result.`;
  } catch (error) {
    if (ours !== asked) return;
    place.className = "plan bad";
    place.textContent = error.message;
  }
}

function about(report) {
  const left = report.duplicates.length + report.unreadable.length;
  const parts = [`${report.rows} examples, ${bytes(report.bytes)}`];
  if (left > 0) parts.push(`${left} rows left out (first: line ${[...report.unreadable, ...report.duplicates][0].line}, ${[...report.unreadable, ...report.duplicates][0].problem})`);
  if (report.filled.edited_caption > 0) parts.push(`${report.filled.edited_caption} captions filled in by rule`);
  return `${parts.join("; ")}.`;
}

async function start(event) {
  event.preventDefault();
  tell(by("tune-error"), "");
  by("start").disabled = true;
  try {
    started(await post("/v1/finetune", request()));
  } catch (error) {
    tell(by("tune-error"), error.message);
  } finally {
    by("start").disabled = false;
  }
}

// A table is the file, and whatever else is chosen are its images; without a table the file is an archive.
function upload() {
  const files = [...by("set-files").files];
  const table = files.find(({ name }) => /\.(jsonl|ndjson|csv)$/i.test(name)) ?? files[0];
  if (!table) return null;
  const form = new FormData();
  if (by("set-name").value.trim() !== "") form.set("name", by("set-name").value.trim());
  form.set("file", table, table.name);
  for (const file of files) if (file !== table) form.append("images", file, file.name);
  return form;
}

async function sendSet() {
  const form = upload();
  tell(by("set-error"), form ? "" : "Choose a zip file, or a table and its photos, first.");
  if (!form) return;
  by("send-set").disabled = true;
  by("set-state").textContent = "Uploading and checking";
  try {
    const answer = await send("/v1/datasets", { method: "POST", body: form });
    const set = await answer.json();
    await refresh();
    by("dataset").value = set.id;
    by("set-state").textContent = `“${set.name}” is kept and chosen: ${about(set.report)}`;
    await plan();
  } catch (error) {
    by("set-state").textContent = "";
    tell(by("set-error"), error.message);
  } finally {
    by("send-set").disabled = false;
  }
}

by("tune-form").addEventListener("submit", start);
by("send-set").addEventListener("click", sendSet);
by("set-files").addEventListener("change", ({ target }) => {
  const [first, ...more] = target.files;
  by("set-chosen").textContent = first ? first.name + (more.length ? ` and ${more.length} more` : "") : "None chosen.";
});
by("tune-form").addEventListener("input", ({ target }) => {
  if (target.closest("#upload")) return;
  clearTimeout(waiting);
  waiting = setTimeout(plan, WAIT_MS);
});
