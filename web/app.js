// The playground: two tabs over the server's own API.
import * as adapters from "./adapters.js";
import { json, Problem } from "./api.js";
import { isAway, onReturn } from "./connection.js";
import { by, make, tabs, tell } from "./dom.js";
import * as edit from "./edit.js";
import { showExamples } from "./examples.js";
import * as jobs from "./jobs.js";
import * as tune from "./tune.js";

const AGAIN_MS = 1500;
// Jobs may be started in another tab.
const LOOK_MS = 10_000;
const CANDIDATES = [2, 4, 8];

// What is loaded, and what follows for the form. A model that still loads is waited for.
async function models() {
  const line = by("model");
  try {
    const { data } = await json("/v1/models");
    const [editor, judge] = ["editor", "judge"].map((role) => data.find((model) => model.role === role));
    line.textContent = `Editor: ${editor.id}, on ${editor.device.toUpperCase()}. ${judge ? `Judge: ${judge.id}.` : "No judge."}`;
    edit.setLimits(editor.limits);
    by("steps").max = editor.limits.max_steps;
    by("steps").placeholder = editor.default_steps;
    judging(judge);
  } catch (error) {
    line.textContent = error.message;
    if (error instanceof Problem && error.status === 503) setTimeout(models, AGAIN_MS);
  }
}

function judging(judge) {
  const select = by("judging");
  const before = select.options.length > 2 ? select.value : "judge";
  const most = judge?.limits.max_best_of ?? 0;
  const some = CANDIDATES.filter((count) => count <= most);
  const options = [["none", "Do not score"], ["judge", "Score the edit"], ...some.map((count) => [String(count), `Best of ${count}, scored`])];
  select.replaceChildren(...options.map(([value, text]) => make("option", { value, disabled: value !== "none" && !judge }, text)));
  if (judge) select.value = before;
  by("judging-hint").textContent = judge ? "A judge model says whether the change was made and the rest kept." : "This server has no judge model.";
}

// A server that is away is said by the banner; what it refuses is said in place.
const quietly = (work) => work.catch((error) => error instanceof Problem || console.warn(error.message));

function tuning() {
  const refused = (error) => error instanceof Problem && tell(by("tune-error"), error.message);
  return quietly(Promise.all([tune.refresh(), jobs.refresh()]).catch(refused));
}

const show = tabs(
  [
    { name: "edit", tab: by("tab-edit"), panel: by("edit") },
    { name: "fine-tune", tab: by("tab-tune"), panel: by("tune") },
  ],
  (name) => (name === "edit" ? quietly(adapters.refresh()) : tuning()),
);

showExamples(edit.take);
show(location.hash.slice(1));
quietly(models());
onReturn(() => {
  quietly(models());
  quietly(adapters.refresh());
  if (!by("tune").hidden) tuning();
});
document.addEventListener("visibilitychange", () => document.hidden || quietly(adapters.refresh()));
setInterval(() => document.hidden || by("tune").hidden || isAway() || quietly(jobs.refresh()), LOOK_MS);
document.addEventListener("use-adapter", async ({ detail }) => {
  show("edit");
  await quietly(adapters.refresh());
  adapters.use(detail);
  by("instruction").focus();
});
