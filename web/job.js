// One job: its state, curves, pictures and verdict, kept up with until it ends.
import { events, json, picture, post, send } from "./api.js";
import { Curves } from "./curves.js";
import { by, make, span, when } from "./dom.js";
import { sure } from "./sure.js";
import { verdict } from "./verdict.js";

const ENDED = ["succeeded", "failed", "cancelled"];
// What changes the job itself, beside steps and pictures.
const ASIDE = ["step", "checkpoint", "samples"];
const ACTIONS = [["pause", "Pause"], ["resume", "Resume"], ["sample_now", "Draw samples now"], ["cancel", "Cancel job"]];
const PAUSES_MS = [500, 1000, 2000, 4000, 8000];
const SAMPLES = 2;

export class JobView {
  // `changed` hears of every new state.
  constructor(job, changed) {
    Object.assign(this, { job, changed, steps: [], seen: "", ours: new AbortController(), samples: [], due: 0 });
    this.build();
    this.draw();
    this.follow();
  }

  close() {
    this.ours.abort();
    cancelAnimationFrame(this.due);
    for (const url of this.samples) URL.revokeObjectURL(url);
  }

  build() {
    const { job } = this;
    const title = make("h2", { id: "job-title", tabIndex: -1 }, `${job.recipe}, ${when(job.created)}`);
    this.pill = make("span", { className: "pill", role: "status" });
    this.bar = make("div", { className: "progress", role: "progressbar", ariaLabel: "Training progress", ariaValueMin: 0, ariaValueMax: 100 }, make("span"));
    this.where = make("p");
    const button = ([value, name]) => make("button", { type: "button", value, onclick: () => this.act(value) }, name);
    this.actions = make("div", { className: "row" }, ...ACTIONS.map(button));
    this.problem = make("div", { className: "note bad", role: "alert", hidden: true });
    this.head = make("section", { className: "card head" }, make("div", { className: "row" }, title, make("span", { className: "grow" }), this.pill), make("div", { className: "steps" }, this.where, this.bar), this.actions, this.problem);
    this.end = make("div");
    this.charts = make("div", { className: "charts" });
    this.grid = make("div", { className: "samples" });
    this.pictures = make("section", { className: "card samples", hidden: true }, make("h3", {}, "Sample edits"), make("p", { className: "hint" }, "From left to right: the photo, the edit before this job, the edit now."), this.grid);
    this.curves = new Curves(this.charts);
    by("job").hidden = false;
    by("job").replaceChildren(this.head, this.end, this.pictures, this.charts);
  }

  draw() {
    const { job } = this;
    const { step, steps } = job.progress;
    const state = job.pause_wanted && job.status === "running" ? "pausing after this step" : job.status;
    if (this.pill.textContent !== state) this.pill.textContent = state;
    this.pill.className = `pill ${job.status}`;
    const share = Math.round((100 * step) / steps);
    this.bar.firstElementChild.style.width = `${share}%`;
    this.bar.setAttribute("aria-valuenow", share);
    const left = make("span", { className: "soft" }, this.remaining());
    this.where.replaceChildren(make("span", {}, `Step ${step} of ${steps}`), left);
    this.buttons();
    if (job.error) this.say(`${job.error.message} (${job.error.code})`);
    if (job.adapter && !this.end.hasChildNodes()) {
      const use = (adapter) => document.dispatchEvent(new CustomEvent("use-adapter", { detail: adapter }));
      this.end.replaceChildren(verdict(job, { use, save: (what) => this.save(what) }));
    }
    this.changed(job);
  }

  remaining() {
    const { status, progress } = this.job;
    if (ENDED.includes(status)) return this.job.finished ? `Ended ${when(this.job.finished)}` : "";
    if (status === "queued") return "Waiting for its turn";
    if (status !== "running") return "";
    if (progress.step >= progress.steps) return "Checking the adapter on held-out photos";
    const recent = this.steps.slice(-10);
    if (recent.length === 0) return "Getting ready";
    const each = recent.reduce((sum, step) => sum + step.wall_secs, 0) / recent.length;
    return `About ${span(each * (progress.steps - progress.step))} left`;
  }

  // The buttons stay, so that a state that changes takes none away from under a hand.
  buttons() {
    const { status, pause_wanted: pausing } = this.job;
    const usable = {
      pause: ["queued", "running"].includes(status) && !pausing,
      resume: status === "paused" || pausing,
      sample_now: status === "running",
      cancel: ["queued", "running", "paused"].includes(status),
    };
    const held = this.actions.contains(document.activeElement);
    for (const button of this.actions.children) button.hidden = !usable[button.value];
    this.actions.hidden = !Object.values(usable).includes(true);
    // A button that was pressed away leaves the keyboard on its neighbour.
    if (held && document.activeElement.hidden) (this.actions.querySelector("button:not([hidden])") ?? by("job-title")).focus();
  }

  async act(action) {
    if (action === "cancel" && !(await sure("Cancel this job?", "What it has learnt so far is dropped. A paused job keeps it.", "Yes, cancel it"))) return;
    this.say("");
    try {
      this.job = await post(`/v1/finetune/${this.job.id}/${action}`);
    } catch (error) {
      this.say(error.message);
    }
    this.draw();
  }

  say(text) {
    this.problem.textContent = text;
    this.problem.hidden = text === "";
  }

  // Reads events until the job has ended, from where it left off however often the answer breaks.
  async follow() {
    const { signal } = this.ours;
    for (let tries = 0; !signal.aborted; tries += 1) {
      const before = this.seen;
      try {
        this.job = await json(`/v1/finetune/${this.job.id}`, { signal });
        this.draw();
        await this.listen(signal);
        this.job = await json(`/v1/finetune/${this.job.id}`, { signal });
        this.draw();
        if (ENDED.includes(this.job.status)) return;
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 404) return this.say("This job is not there any more.");
        if (error.status) this.say(error.message);
      }
      if (this.seen !== before) tries = 0;
      await new Promise((resolve) => setTimeout(resolve, PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)]));
    }
  }

  async listen(signal) {
    const headers = this.seen ? { "Last-Event-ID": this.seen } : {};
    for await (const { event, data, id } of events(`/v1/finetune/${this.job.id}/events`, { headers, signal })) {
      const told = JSON.parse(data);
      this.seen = id;
      if (event === "step") this.step(told.data);
      if (event === "samples") this.sample(told.data);
      if (ASIDE.includes(event)) continue;
      this.job = await json(`/v1/finetune/${this.job.id}`, { signal });
      this.draw();
    }
  }

  // Many steps may come at once, after a reload: they are drawn together.
  step(numbers) {
    this.steps.push(numbers);
    this.job = { ...this.job, progress: { ...this.job.progress, step: Math.max(this.job.progress.step, numbers.step) } };
    cancelAnimationFrame(this.due);
    this.due = requestAnimationFrame(() => {
      this.curves.show(this.steps);
      this.draw();
    });
  }

  async sample({ step, name }) {
    const url = await picture(`/v1/finetune/${this.job.id}/samples/${name}`).catch(() => null);
    if (!url || this.ours.signal.aborted) return;
    this.samples.push(url);
    const image = make("img", { src: url, alt: `Sample edits after step ${step}` });
    image.addEventListener("load", () => image.classList.toggle("pixels", image.naturalWidth < 400));
    this.grid.prepend(make("figure", {}, image, make("figcaption", {}, `After step ${step}`)));
    while (this.grid.children.length > SAMPLES) this.grid.lastElementChild.remove();
    this.pictures.hidden = false;
  }

  async save(what) {
    const path = what === "report" ? `/v1/finetune/${this.job.id}/report` : `/v1/adapters/${this.job.adapter.id}/weights`;
    const name = what === "report" ? "report.html" : "pytorch_lora_weights.safetensors";
    try {
      const answer = await send(path);
      const url = URL.createObjectURL(await answer.blob());
      make("a", { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
    } catch (error) {
      this.say(error.message);
    }
  }
}
