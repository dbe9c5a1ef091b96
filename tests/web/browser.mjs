// A person at the page: finds things by their visible labels, presses and types.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { readFile } from "node:fs/promises";

const modules = createRequire(join(process.env.NPEDIT_WEB_MODULES, "here.js"));
const { default: puppeteer } = await import(pathToFileURL(modules.resolve("puppeteer-core")));
const axe = await readFile(modules.resolve("axe-core/axe.min.js"), "utf8");

const PATIENCE_MS = 30_000;
export const DESKTOP = { width: 1280, height: 860 };
// Without touch: turning that on loads the page anew.
export const PHONE = { width: 360, height: 740, deviceScaleFactor: 2 };

export function launch() {
  return puppeteer.launch({ executablePath: process.env.NPEDIT_BROWSER, headless: true, args: ["--no-sandbox"], protocolTimeout: 300_000 });
}

export class Person {
  // Opens the page in a tab of its own; what it asks for and complains about is kept.
  static async at(browser, url) {
    const page = await browser.newPage();
    await page.setViewport(DESKTOP);
    page.setDefaultTimeout(PATIENCE_MS);
    const person = Object.assign(new Person(), { page, url, elsewhere: [], complaints: [], bytes: 0 });
    const origin = new URL(url).origin;
    page.on("request", (request) => {
      if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== origin) person.elsewhere.push(request.url());
    });
    page.on("pageerror", (error) => person.complaints.push(error.message));
    page.on("console", (message) => {
      // Answers that are no success are logged by the browser itself; the page says what it makes of them.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) person.complaints.push(message.text());
    });
    const network = await page.createCDPSession();
    await network.send("Network.enable");
    network.on("Network.loadingFinished", ({ encodedDataLength }) => (person.bytes += encodedDataLength));
    await page.goto(url, { waitUntil: "networkidle0" });
    return person;
  }

  // The visible thing of that accessible name.
  named(name, role = "") {
    return this.page.waitForSelector(`::-p-aria([name="${name}"]${role && `[role="${role}"]`})`, { visible: true });
  }

  async press(name, role = "") {
    const thing = await this.named(name, role);
    await thing.scrollIntoView();
    await thing.click();
  }

  // Opens what is folded under that summary.
  async unfold(text) {
    const shown = (text) => [...document.querySelectorAll("summary")].find((summary) => summary.checkVisibility() && summary.textContent.startsWith(text));
    const summary = await this.page.waitForFunction(shown, {}, text);
    await summary.scrollIntoView();
    await summary.click();
  }

  async type(label, text) {
    const field = await this.named(label);
    await field.click({ count: 3 });
    await this.page.keyboard.press("Backspace");
    await field.type(text);
  }

  // The option of that text, or the first that begins with it.
  async choose(label, text) {
    const select = await this.named(label, "combobox");
    const value = await select.evaluate((element, text) => [...element.options].find((option) => option.text.startsWith(text))?.value, text);
    if (value === undefined) throw new Error(`${label} has no option ${text}`);
    await select.select(value);
  }

  chosen(label) {
    return this.named(label, "combobox").then((select) => select.evaluate((element) => element.selectedOptions[0].text));
  }

  // Picks files by the button that says so.
  async pick(text, ...paths) {
    const button = await this.page.waitForSelector(`label::-p-text(${text})`, { visible: true });
    const [chooser] = await Promise.all([this.page.waitForFileChooser(), button.click()]);
    await chooser.accept(paths);
  }

  // Waits until the page shows that text.
  async sees(text, timeout = PATIENCE_MS) {
    const shown = (text) => document.body.innerText.toLowerCase().includes(text.toLowerCase());
    await this.page.waitForFunction(shown, { timeout }, text).catch(async () => {
      throw new Error(`the page does not say ${JSON.stringify(text)}; it says ${await this.page.evaluate(() => document.body.innerText.slice(0, 1500))}`);
    });
  }

  says(text) {
    return this.page.evaluate((text) => document.body.innerText.toLowerCase().includes(text.toLowerCase()), text);
  }

  // What a check of accessibility finds wrong, a line each.
  async barriers() {
    await this.page.evaluate(axe);
    const { violations } = await this.page.evaluate(() => globalThis.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
    return violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help} (${node.target.join(" ")}) ${node.failureSummary}`));
  }

  // Pixels by which the page is wider than the window.
  overhang() {
    return this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  }
}
