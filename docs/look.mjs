// Looks at the built site in Chromium, at phone and desktop width, in light and dark:
// `make docs-look`. Screenshots land in the folder that is named last.
//
// Fails on a request that leaves this machine, on an error in the console, on a page
// that is wider than a phone, on a picture that is not drawn, and on a search that
// does not find.
import { createServer } from "node:http";
import { mkdir, readFile, readdir } from "node:fs/promises";
import { existsSync } from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";

const [site, screenshots] = process.argv.slice(2);
const BROWSERS = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];
const WIDTHS = { phone: 390, desktop: 1440 };
const SCHEMES = ["light", "dark"];
const KNOWN_WORD = "QueueTimeout";
const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
};
const problems = [];

function serve(folder) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    let file = path.join(folder, decodeURIComponent(pathname));
    if (pathname.endsWith("/")) file = path.join(file, "index.html");
    try {
      const body = await readFile(file);
      const type = TYPES[path.extname(file)] ?? "application/octet-stream";
      response.writeHead(200, { "Content-Type": type });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));
}

async function pagesOf(folder) {
  const files = await readdir(folder, { recursive: true });
  return files
    .filter((file) => path.basename(file) === "index.html")
    .map((file) => file.slice(0, -"index.html".length))
    .sort();
}

async function open(page, address, name) {
  const found = (problem) => problems.push(`${name}: ${problem}`);
  const listeners = {
    console: (message) => message.type() === "error" && found(message.text()),
    pageerror: (error) => found(String(error)),
    request: (request) => {
      const { protocol, hostname } = new URL(request.url());
      const here = ["127.0.0.1", "localhost"].includes(hostname);
      if (!here && !["data:", "blob:"].includes(protocol)) found(`asks ${request.url()}`);
    },
  };
  for (const [event, listener] of Object.entries(listeners)) page.on(event, listener);
  await page.goto(address, { waitUntil: "networkidle" });
  await drawn(page, found);
  for (const [event, listener] of Object.entries(listeners)) page.off(event, listener);
}

// A picture is a code block before it is drawn, and an element with some height after.
async function drawn(page, found) {
  const pictures = await page.locator(".mermaid").count();
  if (!pictures) return;
  try {
    await page.waitForFunction(
      (count) => {
        const all = [...document.querySelectorAll("div.mermaid")];
        return all.length === count && all.every((each) => each.offsetHeight > 100);
      },
      pictures,
      { timeout: 20000 },
    );
  } catch {
    found("a picture is not drawn");
  }
}

async function checkWidth(page, name) {
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  const room = page.viewportSize().width;
  if (width > room) problems.push(`${name}: is ${width} px wide, on a screen of ${room}`);
}

async function checkSearch(page, address) {
  await page.goto(address, { waitUntil: "networkidle" });
  await page.locator("input.md-search__input").click();
  await page.keyboard.type(KNOWN_WORD);
  const results = page.locator(".md-search-result__link");
  await results.first().waitFor({ timeout: 20000 }).catch(() => {});
  const links = await results.evaluateAll((all) => all.map((each) => each.href));
  if (!links.some((link) => link.includes("reference/errors/"))) {
    problems.push(`search: ${KNOWN_WORD} does not find the page about errors`);
  }
}

const executablePath = BROWSERS.find((each) => each && existsSync(each));
if (!executablePath) {
  console.error("Chromium is not installed: apt-get install chromium, or set CHROMIUM.");
  process.exit(2);
}
await mkdir(screenshots, { recursive: true });
const server = await serve(site);
const base = `http://127.0.0.1:${server.address().port}/`;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const pages = await pagesOf(site);
for (const colorScheme of SCHEMES) {
  for (const [kind, width] of Object.entries(WIDTHS)) {
    const context = await browser.newContext({
      colorScheme,
      viewport: { width, height: 900 },
    });
    const page = await context.newPage();
    for (const each of pages) {
      const name = `${each || "start"} (${kind}, ${colorScheme})`;
      await open(page, base + each, name);
      await checkWidth(page, name);
      const file = `${each.replaceAll("/", "-") || "start-"}${kind}-${colorScheme}.png`;
      await page.screenshot({ path: path.join(screenshots, file), fullPage: true });
    }
    if (kind === "desktop" && colorScheme === "light") await checkSearch(page, base);
    await context.close();
  }
}
await browser.close();
server.close();
for (const problem of problems) console.error(problem);
console.log(
  `${pages.length} pages, ${Object.keys(WIDTHS).length} widths, ${SCHEMES.length} ` +
    `schemes: ${problems.length} problems. Screenshots: ${screenshots}`,
);
process.exit(problems.length ? 1 : 0);
