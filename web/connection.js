// Whether the server is there: said once, tried again with growing pauses, and said when it is back.
import { by, make } from "./dom.js";

const PAUSES_MS = [500, 1000, 2000, 4000, 8000];
const returned = new Set();
let away = false;
let wake = () => {};

// Called after every time that the server came back.
export const onReturn = (act) => returned.add(act);

export const isAway = () => away;

// A request met nobody.
export function lost() {
  if (away) return;
  away = true;
  probe();
}

// A request was answered.
export function seen() {
  if (away) back();
}

function back() {
  away = false;
  wake();
  say("The server is back.", "fine");
  setTimeout(() => away || by("banner").replaceChildren(), 5000);
  for (const act of returned) act();
}

function say(text, kind, ...more) {
  by("banner").replaceChildren(make("div", { className: kind }, make("span", {}, text), ...more));
}

async function probe() {
  const now = make("button", { type: "button", className: "quiet", onclick: () => wake() }, "Try now");
  say("The server does not answer. This page keeps trying.", "gone", now);
  for (let tries = 0; away; tries += 1) {
    await pause(PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)]);
    if (!away) return;
    // A plain request: the one in api.js would end up here again.
    const answer = await fetch("/health/live").catch(() => null);
    if (answer && away) back();
  }
}

function pause(ms) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

window.addEventListener("online", () => wake());
