// The large picture: empty, a picture, previews while it is edited, then before and after under one slider.
import { by } from "./dom.js";

// Pictures below this many pixels a side are shown with their pixels sharp.
const SMALL_PX = 200;
const [frame, before, after, slide] = ["frame", "before", "after", "slide"].map(by);
let shown = null;

export function showPicture(picture) {
  shown = picture;
  by("empty").hidden = true;
  by("view").hidden = false;
  frame.style.setProperty("--ratio", picture.width / picture.height);
  before.src = picture.url;
  for (const image of [before, after]) image.classList.toggle("pixels", small(picture));
  fit();
  after.hidden = true;
  compare(false);
  by("caption").textContent = `${picture.width} × ${picture.height} pixels, ${picture.name}`;
}

export function showNothing() {
  by("empty").hidden = false;
  by("view").hidden = true;
}

// A picture that is not done yet covers the one before.
export function showPreview(url, step) {
  compare(false);
  after.hidden = false;
  after.alt = `Preview after step ${step}`;
  after.src = url;
}

export function hidePreview() {
  after.hidden = true;
}

export function showResult(url, instruction) {
  after.hidden = false;
  after.alt = `The picture after the edit: ${instruction}`;
  after.src = url;
  slide.value = 50;
  compare(true);
}

// `share` of the edit is done, 0..1; null hides the bar.
export function showProgress(share) {
  const bar = by("progress");
  bar.hidden = share === null;
  const done = Math.round(100 * (share ?? 0));
  bar.setAttribute("aria-valuenow", done);
  bar.firstElementChild.style.width = `${done}%`;
}

function compare(on) {
  frame.classList.toggle("compare", on);
  slide.hidden = !on;
  cut();
}

function cut() {
  frame.style.setProperty("--cut", `${slide.value}%`);
  slide.setAttribute("aria-valuetext", `${slide.value} % before, ${100 - slide.value} % after`);
}

const small = ({ width, height }) => Math.max(width, height) < SMALL_PX;

// A small picture is enlarged by a whole number, so that all its pixels are of one size.
function fit() {
  frame.style.removeProperty("--wide");
  if (!shown || !small(shown)) return;
  const times = Math.floor(frame.clientWidth / shown.width);
  if (times > 0) frame.style.setProperty("--wide", `${times * shown.width}px`);
}

slide.addEventListener("input", cut);
new ResizeObserver(fit).observe(by("stage"));
