// Edits of this tab, newest first; a click shows one again.
import { by, make } from "./dom.js";

const KEPT = 24;
const edits = [];
let choose = () => {};

export const onChoose = (act) => (choose = act);

export function remember(edit) {
  edits.unshift(edit);
  const dropped = edits.splice(KEPT);
  for (const old of dropped) URL.revokeObjectURL(old.url);
  draw(edit);
}

export function draw(shown) {
  by("history-part").hidden = edits.length === 0;
  const items = edits.map((edit) => {
    const image = make("img", { src: edit.url, alt: "", className: edit.picture.width < 200 ? "pixels" : "" });
    const seed = make("small", {}, `Seed ${edit.seed}`);
    const button = make("button", { type: "button", onclick: () => choose(edit) }, image, make("span", {}, edit.instruction), seed);
    if (edit === shown) button.setAttribute("aria-current", "true");
    return make("li", {}, button);
  });
  by("history").replaceChildren(...items);
}
