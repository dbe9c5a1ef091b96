// The list of jobs, and which of them is looked at.
import { json } from "./api.js";
import { by, make, when } from "./dom.js";
import { JobView } from "./job.js";

const SHOWN = 12;
let jobs = [];
let view = null;

// Reads the list anew; looks at the newest job where none is looked at yet.
export async function refresh() {
  const list = await json(`/v1/finetune?limit=${SHOWN}`);
  jobs = list.data;
  draw();
  if (!view && jobs.length > 0) look(jobs.find((job) => !job.finished) ?? jobs[0]);
}

// A job was queued from here: it is looked at.
export function started(job) {
  jobs.unshift(job);
  look(job);
  by("job").querySelector("h2").focus({ preventScroll: true });
  by("job").scrollIntoView({ block: "nearest", behavior: "smooth" });
}

function look(job) {
  view?.close();
  view = new JobView(job, changed);
  by("no-job").hidden = true;
  draw();
}

// The job that is looked at moved on.
function changed(job) {
  const index = jobs.findIndex(({ id }) => id === job.id);
  if (index >= 0) jobs[index] = job;
  draw();
}

function draw() {
  by("no-jobs").hidden = jobs.length > 0;
  const items = jobs.map((job) => {
    const { step, steps } = job.progress;
    const pill = make("span", { className: `pill ${job.status}` }, job.promoted ? "promoted" : job.status);
    const small = make("small", {}, `${when(job.created)}, step ${step} of ${steps}`);
    const button = make("button", { type: "button", onclick: () => look(job) }, make("span", {}, job.recipe), pill, small);
    if (view?.job.id === job.id) button.setAttribute("aria-current", "true");
    return [button, make("li", {}, button)];
  });
  const list = by("jobs");
  const focused = [...list.children].findIndex((item) => item.contains(document.activeElement));
  list.replaceChildren(...items.map(([, item]) => item));
  if (focused >= 0) items[focused]?.[0].focus();
}
