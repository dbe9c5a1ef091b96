// Small ways to build the page: text always goes in as text.

export const by = (id) => document.getElementById(id);

// An element with properties and children: strings become text.
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element && key !== "list") element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Shows a text in an element that is hidden while it has none.
export function tell(element, text) {
  element.textContent = text;
  element.hidden = text === "";
}

export function percent(share) {
  return `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

export function bytes(count) {
  if (count < 1e3) return `${count} bytes`;
  return count < 1e6 ? `${Math.round(count / 1e3)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

export function span(secs) {
  if (secs < 1) return `${Math.round(1000 * secs)} ms`;
  if (secs < 90) return `${secs < 10 ? secs.toFixed(1) : Math.round(secs)} s`;
  return secs < 5400 ? `${Math.round(secs / 60)} min` : `${(secs / 3600).toFixed(1)} h`;
}

// A time in seconds since 1970, as people write it.
export function when(secs) {
  return new Date(1000 * secs).toLocaleString(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 3);
}

// A tab list by the pattern that screen readers know: arrows move, one tab is in the page's order.
export function tabs(pairs, shown) {
  const show = (name, focus) => {
    for (const { name: other, tab, panel } of pairs) {
      const on = other === name;
      tab.setAttribute("aria-selected", on);
      tab.tabIndex = on ? 0 : -1;
      panel.hidden = !on;
      if (on && focus) tab.focus();
    }
    history.replaceState(null, "", `#${name}`);
    shown(name);
  };
  pairs.forEach(({ name, tab }, index) => {
    tab.addEventListener("click", () => show(name, false));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) show(pairs.at((index + step) % pairs.length).name, true);
    });
  });
  return (name) => show(pairs.some((pair) => pair.name === name) ? name : pairs[0].name, false);
}
