"use strict";
// Opens every report in light, dark and at a phone's width: no console errors, no request, the numbers of SQL, no script
// but ours, nothing wider than the screen, readable contrast, tables that the keyboard sorts. Pictures go beside the reports.
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { chromium } = require("playwright-core");

const folder = path.resolve(process.argv[2]);
const expected = JSON.parse(fs.readFileSync(path.join(folder, "expected.json"), "utf-8"));
const looks = {
  light: { viewport: { width: 1400, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1400, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 800 }, colorScheme: "light", isMobile: true, hasTouch: true },
};
const columns = { spend_by_model: ["model", "spent_usd"], tools: ["name", "failures"], unpriced: ["model", "prompt_tokens"] };

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM });
  try {
    for (const name of Object.keys(expected)) {
      for (const look of Object.keys(looks)) await checkReport(browser, name, look);
      console.log(`${name}: ok`);
    }
  } finally {
    await browser.close();
  }
}

async function checkReport(browser, name, look) {
  const context = await browser.newContext({ ...looks[look], reducedMotion: "reduce" });
  const page = await context.newPage();
  const [errors, requests, dialogs] = [[], [], []];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => requests.push(request.url()));
  page.on("dialog", (dialog) => { dialogs.push(dialog.message()); return dialog.dismiss(); });
  const url = pathToFileURL(path.join(folder, `${name}.html`)).href;
  await page.goto(url, { waitUntil: "load" });
  await page.screenshot({ path: path.join(folder, `${name}-${look}.png`), fullPage: true });

  await checkNumbers(page, name);
  await checkSorting(page);
  assert.deepEqual(await page.evaluate(tooWide), [], `${name} ${look}: wider than the screen`);
  assert.deepEqual(await page.evaluate(lowContrast), [], `${name} ${look}: contrast below 4.5`);
  assert.deepEqual(await page.evaluate(nameless), [], `${name} ${look}: without a name for a screen reader`);
  if (look !== "phone") await checkPaper(page, name, look);
  assert.equal(await page.title(), "What the assistants did and what it cost");
  assert.equal(await page.locator("script").count(), 1, `${name}: one script, ours`);
  assert.equal(await page.locator("img, iframe, object, link").count(), 0);
  assert.deepEqual(dialogs, []);
  assert.deepEqual(errors, [], `${name} ${look}: console errors`);
  assert.deepEqual(requests, [url], `${name} ${look}: requests`);
  await context.close();
}

async function checkNumbers(page, name) {
  const { totals, tables } = expected[name];
  const isEmpty = (await page.locator("table").count()) === 0;
  for (const [total, value] of Object.entries(isEmpty ? {} : totals)) {
    assert.equal(await page.locator(`#total-${total}`).getAttribute("data-value"), value, `${name}: ${total}`);
  }
  for (const [table, rows] of Object.entries(tables)) {
    const shown = await page.locator(`table#${table} tbody tr`).evaluateAll(
      (found, [key, value]) => found.map((row) => [key, value].map(
        (column) => row.querySelector(`[data-column="${column}"]`).dataset.value)),
      columns[table],
    );
    const order = (a, b) => (String(a) < String(b) ? -1 : 1);
    assert.deepEqual(shown.sort(order), rows.sort(order), `${name}: ${table}`);
  }
}

async function checkSorting(page) {
  const table = page.locator("table#tools");
  if ((await table.count()) === 0) return;
  const button = table.locator("thead [role=button]", { hasText: "Calls" }).first();
  const read = () => table.locator("tbody [data-column=calls]").evaluateAll((cells) => cells.map((cell) => Number(cell.dataset.value)));
  const before = await read();
  for (const [direction, sign] of [["descending", -1], ["ascending", 1]]) {
    await button.focus();
    await page.keyboard.press("Enter");
    assert.equal(await table.locator("th[aria-sort]").getAttribute("aria-sort"), direction);
    assert.deepEqual(await read(), [...before].sort((a, b) => sign * (a - b)));
  }
}

// As it is printed: nothing is wider than the sheet, what is folded is open, and no colour is for a dark screen.
async function checkPaper(page, name, look) {
  await page.pdf({ path: path.join(folder, `${name}-${look}.pdf`), preferCSSPageSize: true });
  const screen = page.viewportSize();
  await page.setViewportSize({ width: Math.round((210 - 24) / 25.4 * 96), height: screen.height });
  await page.emulateMedia({ media: "print" });
  assert.deepEqual(await page.evaluate(tooWide), [], `${name} ${look}: wider than the paper`);
  assert.deepEqual(await page.evaluate(lowContrast), [], `${name} ${look}: contrast below 4.5 on paper`);
  assert.deepEqual(await page.evaluate(folded), [], `${name} ${look}: folded on paper`);
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(255, 255, 255)");
  await page.emulateMedia({ media: null });
  await page.setViewportSize(screen);
}

// Those below run in the page.
function folded() {
  return [...document.querySelectorAll("details")].filter((each) => !each.open).map((each) => each.outerHTML.slice(0, 80));
}

function tooWide() {
  const width = document.documentElement.clientWidth;
  const scrolling = document.documentElement.scrollWidth > width ? ["the page itself"] : [];
  const blocks = [...document.querySelectorAll("section > *, header > *, figure")];
  return scrolling.concat(blocks.filter((each) => each.getBoundingClientRect().right > width + 1).map((each) => each.outerHTML.slice(0, 80)));
}

function lowContrast() {
  const channel = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = ([red, green, blue]) => 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = numbers(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const low = new Set();
  for (const element of document.body.querySelectorAll("*")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!hasText || ["SCRIPT", "TITLE"].includes(element.tagName.toUpperCase())) continue;
    const [a, b] = [numbers(getComputedStyle(element).color), behind(element)].map(luminance);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return [...low];
}

function nameless() {
  const tables = [...document.querySelectorAll("table")].filter((table) => !table.caption || !table.caption.textContent.trim());
  const pictures = [...document.querySelectorAll("svg:not([aria-hidden])")].filter((svg) => !svg.getAttribute("aria-label"));
  const regions = [...document.querySelectorAll("[role=region]")].filter((each) => !document.getElementById(each.getAttribute("aria-labelledby")));
  return [...tables, ...pictures, ...regions].map((each) => each.outerHTML.slice(0, 80));
}

main().catch((error) => {
  console.error(error.message ?? error);
  process.exitCode = 1;
});
