// What the judge says about an edit.
import { make, percent } from "./dom.js";

const NAMES = [
  ["edit_success", "Change made"],
  ["preservation", "Rest kept"],
  ["overall", "Overall"],
];

export function showScores(place, answer) {
  place.replaceChildren();
  const image = answer.images[0];
  if (!image.scores) return;
  const meters = NAMES.map(([field, name]) => {
    const part = make("i", { ariaHidden: "true" });
    part.style.setProperty("--part", `${100 * image.scores[field]}%`);
    const said = make("p", {}, make("span", {}, name), make("b", {}, percent(image.scores[field])));
    return make("div", { className: "meter" }, said, part);
  });
  place.append(make("div", { className: "meters" }, ...meters));
  if (answer.candidates) place.append(tries(answer.candidates, image.seed));
}

function tries(candidates, chosen) {
  const head = make("tr", {}, ...["Seed", ...NAMES.map(([, name]) => name)].map((text) => make("th", { scope: "col" }, text)));
  const rows = candidates.map(({ seed, scores }) => {
    const won = seed === chosen;
    const cells = NAMES.map(([field]) => make("td", {}, percent(scores[field])));
    return make("tr", { className: won ? "won" : "" }, make("td", {}, won ? `${seed} (shown)` : String(seed)), ...cells);
  });
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  const scroll = make("div", { className: "scroll" }, table);
  return make("details", { className: "tries" }, make("summary", {}, `All ${candidates.length} tries`), scroll);
}
