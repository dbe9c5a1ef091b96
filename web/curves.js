// Which numbers of a training step are drawn, and what they mean.
import { Chart } from "./chart.js";

const TERMS = {
  loss: ["Loss in all", "The weighted sum that is trained on."],
  judge: ["Judge", "Falls as the judge says the right answers."],
  dmd: ["Distribution matching", "Holds edits to pictures that the teacher would make. It need not fall."],
  fake_score: ["Fake score", "Error of the model that follows what the editor makes."],
  flow: ["Flow matching", "Error against the picture that was asked for."],
  anchor: ["Anchor", "Distance from what the editor did before, on other edits."],
  pixel: ["Pixels", "Distance from the photo, pixel by pixel."],
  lpips: ["Perceptual distance", "Distance from the photo, as people see it."],
  reward: ["Reward", "What the judge's answers make of an edit. Higher is better."],
};
const ANSWERS = [
  { field: "p_yes_edit", name: "change made", colour: 0 },
  { field: "p_yes_identity", name: "rest kept", colour: 1, dashed: true },
];
// About the run, not about the model.
const ASIDE = new Set(["step", "learning_rate", "skipped", "wall_secs", "samples_per_sec", "judge_calls", "grad_norm"]);

// Charts of a job, made as their numbers turn up.
export class Curves {
  constructor(place) {
    this.place = place;
    this.charts = new Map();
    place.replaceChildren();
  }

  show(steps) {
    if (steps.length === 0) return;
    const fields = Object.keys(steps.at(-1)).filter((field) => !ASIDE.has(field) && Number.isFinite(steps.at(-1)[field]));
    const answers = ANSWERS.filter(({ field }) => fields.includes(field));
    if (answers.length > 0) this.chart("p_yes", { title: "The judge's probability of the right answer", about: "Rises as edits do what was asked (change made) and touch nothing else (rest kept).", series: answers, range: [0, 1], wide: true });
    const terms = fields.filter((field) => !answers.some((answer) => answer.field === field));
    const known = Object.keys(TERMS);
    const place = (field) => (known.includes(field) ? known.indexOf(field) : known.length);
    terms.sort((a, b) => place(a) - place(b));
    terms.forEach((field, index) => {
      const [title, about] = TERMS[field] ?? [field, ""];
      this.chart(field, { title, about, series: [{ field, name: title, colour: index % 6 }] });
    });
    for (const chart of this.charts.values()) chart.show(steps);
  }

  chart(name, options) {
    if (this.charts.has(name)) return;
    const chart = new Chart(options);
    this.charts.set(name, chart);
    this.place.append(chart.element);
  }
}
