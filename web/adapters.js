// The choice of an adapter: names first, then what jobs made, and what happens when the chosen one goes away.
import { json } from "./api.js";
import { by, make } from "./dom.js";

const select = by("adapter");
let gone = () => {};
let known = "";

// Called with a sentence when the chosen adapter is not there any more.
export const onGone = (act) => (gone = act);

export const chosen = () => select.value;

// Reads the list anew; keeps the choice, or falls back to the base model and says so.
export async function refresh() {
  const { data } = await json("/v1/adapters");
  // An open list is left alone while nothing has changed.
  if (known === JSON.stringify(data)) return;
  known = JSON.stringify(data);
  const names = data.flatMap((adapter) => adapter.aliases.map((alias) => [alias, `${alias} (${about(adapter)})`]));
  const ids = data.map((adapter) => [adapter.id, `${adapter.id.slice(0, 12)} (${about(adapter)})`]);
  const before = select.value;
  const base = make("option", { value: "" }, "None (base model)");
  select.replaceChildren(base, ...group("Names", names), ...group("Made by jobs", ids));
  if ([...select.options].some((option) => option.value === before)) select.value = before;
  else fallBack(before);
  shown();
}

export function use(adapter) {
  select.value = adapter;
  if (select.value !== adapter) fallBack(adapter);
  shown();
}

export function fallBack(name) {
  select.value = "";
  shown();
  gone(`The adapter “${name.slice(0, 24)}” is not there any more. The base model is chosen now; press “Edit picture” to go on without it.`);
}

function group(label, options) {
  if (options.length === 0) return [];
  return [make("optgroup", { label }, ...options.map(([value, text]) => make("option", { value }, text)))];
}

function about({ created, lineage }) {
  const day = new Date(1000 * created).toLocaleDateString(undefined, { day: "numeric", month: "short" });
  return [lineage?.dataset?.name, day].filter(Boolean).join(", ");
}

function shown() {
  by("scale-field").hidden = select.value === "";
}

select.addEventListener("change", shown);
// The list is fresh when it is opened, not only when the page was.
select.addEventListener("focus", () => refresh().catch(() => {}));
