// Scenes to try without a picture of one's own.
import { by, make } from "./dom.js";

const EXAMPLES = [
  { name: "circle", instruction: "make the circle blue" },
  { name: "square", instruction: "remove the square" },
  { name: "background", instruction: "make the background green" },
  { name: "add", instruction: "add a yellow square" },
];

export function showExamples(choose) {
  const items = EXAMPLES.map(({ name, instruction }) => {
    const url = `/playground/examples/${name}.png`;
    const take = async () => {
      const answer = await fetch(url);
      await choose(new File([await answer.blob()], `${name}.png`, { type: "image/png" }), instruction);
    };
    const image = make("img", { src: url, alt: "", className: "pixels", width: 64, height: 64 });
    return make("li", {}, make("button", { type: "button", onclick: take }, image, make("span", {}, instruction)));
  });
  by("examples").replaceChildren(...items);
}
