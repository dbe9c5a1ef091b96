// The API key: asked for when the server wants one, kept for this tab alone.
import { by } from "./dom.js";

const PLACE = "npedit-api-key";
let asking = null;

export const key = () => sessionStorage.getItem(PLACE) ?? "";

// Whether there is a key now that the refused request did not have. Many requests share one question.
export async function askForKey(why, refused) {
  if (key() && refused !== `Bearer ${key()}`) return true;
  asking ??= question(refused ? `The key was not accepted. ${why}` : why);
  const given = await asking;
  asking = null;
  return given;
}

function question(why) {
  const dialog = by("key-dialog");
  by("key-why").textContent = why;
  by("key").value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const form = dialog.querySelector("form");
    const ended = new AbortController();
    const end = (given) => {
      ended.abort();
      dialog.close();
      by("forget-key").hidden = key() === "";
      resolve(given);
    };
    const on = (target, name, act) => target.addEventListener(name, act, { signal: ended.signal });
    on(form, "submit", (event) => {
      event.preventDefault();
      const typed = by("key").value.trim();
      if (typed === "") return;
      sessionStorage.setItem(PLACE, typed);
      end(true);
    });
    on(by("key-cancel"), "click", () => end(false));
    on(dialog, "cancel", () => end(false));
  });
}

by("forget-key").hidden = key() === "";
by("forget-key").addEventListener("click", () => {
  sessionStorage.removeItem(PLACE);
  by("forget-key").hidden = true;
});
