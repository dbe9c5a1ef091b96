// Asks before something is lost.
import { by } from "./dom.js";

export function sure(title, what, yes) {
  const dialog = by("sure-dialog");
  by("sure-title").textContent = title;
  by("sure-what").textContent = what;
  by("sure-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

by("sure-yes").value = "yes";
by("sure-no").addEventListener("click", () => by("sure-dialog").close());
