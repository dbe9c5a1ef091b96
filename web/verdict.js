// Whether a job's adapter was promoted, and what the gate measured.
import { make, number, percent } from "./dom.js";

// `use` is called with the adapter's id or name.
export function verdict(job, { use, save }) {
  const yes = job.promoted;
  const name = yes && job.publish_as ? job.publish_as : job.adapter.id;
  const parts = [make("h3", {}, yes ? "Promoted" : "Not promoted")];
  parts.push(make("p", { className: "soft" }, said(job)));
  parts.push(make("ul", {}, ...job.reasons.map((reason) => make("li", {}, reason))));
  if (job.gate) parts.push(measured(job.gate));
  const buttons = [
    make("button", { type: "button", className: yes ? "primary" : "", onclick: () => use(name) }, "Use in the editor"),
    make("button", { type: "button", onclick: () => save("weights") }, "Download weights"),
    make("button", { type: "button", className: "quiet", onclick: () => save("report") }, "Download report"),
  ];
  parts.push(make("div", { className: "row" }, ...buttons));
  return make("section", { className: `card verdict ${yes ? "yes" : "no"}` }, ...parts);
}

function said(job) {
  if (!job.promoted) return "The adapter is kept under its id, but no name points to it: the held-out photos did not get clearly better.";
  return job.publish_as ? `The held-out photos got better: “${job.publish_as}” now stands for this adapter.` : "The held-out photos got better.";
}

function measured(gate) {
  const { mean, lower, upper } = gate.gain;
  const rows = [
    ["Score of held-out edits before", number(gate.before)],
    ["Score of held-out edits after", number(gate.after)],
    ["Gain (95 % interval)", `${signed(mean)} (${signed(lower)} to ${signed(upper)})`],
    ["Change to the picture on other edits, before and after", `${percent(gate.drift_before)}, ${percent(gate.drift_after)}`],
    ...Object.entries(gate.by_type).map(([type, change]) => [`Other edits: ${type}`, signed(change)]),
  ];
  const lines = rows.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value)));
  const table = make("table", {}, make("tbody", {}, ...lines));
  return make("details", {}, make("summary", {}, `What was measured on ${gate.held_out} held-out and ${gate.regression} other edits`), make("div", { className: "scroll" }, table));
}

function signed(value) {
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${number(Math.abs(value))}`;
}
