// The page in a real browser: PAGE_URL=http://127.0.0.1:.../.../ node page.mjs; or a report: REPORT=file. Prints what holds, and ends
// with 1 at what does not. With SCREENSHOTS=folder it leaves pictures there.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const tools = fileURLToPath(new URL("../../.tools/browser/", import.meta.url));
const unpacked = join(tools, "unpacked");
// Its own font has no signs: it is for machines that have none at all.
if (!existsSync("/etc/fonts/fonts.conf")) process.env.FONTCONFIG_PATH ??= join(unpacked, "fonts");
// Its own libraries come last: they are for machines that have none.
process.env.LD_LIBRARY_PATH = [process.env.LD_LIBRARY_PATH, "/usr/lib/x86_64-linux-gnu", "/usr/lib64", join(unpacked, "al2023/lib")].filter(Boolean).join(":");
const require = createRequire(join(tools, "package.json"));
const { default: puppeteer } = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const url = process.env.PAGE_URL;
const LIMIT = { timeout: 60_000, polling: 100 };
const WIDE = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844, isMobile: true, hasTouch: true };

const browser = await puppeteer.launch({
  executablePath: join(unpacked, "chromium"),
  headless: "shell",
  // Root has no sandbox to enter, and Ubuntu lets nobody else; it sees no page but ours.
  args: ["--no-sandbox", "--no-zygote", "--disable-gpu", "--disable-dev-shm-usage"],
});
const page = await browser.newPage();
const complaints = [];
page.on("console", (message) => {
  if (["error", "warn"].includes(message.type())) complaints.push(`${message.text()} ${message.location().url ?? ""}`);
});
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("requestfailed", (request) => complaints.push(`${request.url()}: ${request.failure()?.errorText}`));

const text = (selector) => page.$eval(selector, (element) => element.textContent);
const until = (what, check, ...values) =>
  page.waitForFunction(check, LIMIT, ...values).catch((error) => {
    throw new Error(`${what}: ${error.message}`);
  });
const says = (part) => until(`the news are not: ${part}`, (part) => document.querySelector("#news").textContent.includes(part), part);
const press = async (selector) => {
  await page.focus(selector);
  await page.keyboard.press("Enter");
};
const marks = () => page.$$eval(".state", (all) => Object.fromEntries(all.map(({ dataset }) => [dataset.state, dataset.mark])));

async function accessible(where) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`);
  assert.deepEqual(found, [], where);
}

async function everywhere() {
  for (const scheme of ["light", "dark"]) {
    for (const size of [WIDE, PHONE]) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.setViewport(size);
      await accessible(`${scheme}, ${size.width} wide`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${size.width} wide: ${overflow} too wide`);
    }
  }
}

async function picture(name, element) {
  if (!process.env.SCREENSHOTS) return;
  const path = join(process.env.SCREENSHOTS, `${name}.webp`);
  const target = element ? await page.$(element) : page;
  await target.screenshot({ path, type: "webp", quality: 80 });
}

const ofThePage = {
  "a state machine that nothing has entered": async () => {
    await page.setViewport(WIDE);
    await page.goto(url);
    assert.equal(await text("#news"), "No execution yet.");
    assert.deepEqual([...new Set(Object.values(await marks()))], ["none"]);
  },
  "Tab reaches the buttons, and Enter starts the event": async () => {
    await page.evaluate(() => document.body.focus());
    for (let presses = 0; presses < 9; presses++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate(() => document.activeElement.id === "event")) break;
    }
    assert.equal(await page.evaluate(() => document.activeElement.id), "event");
    await page.keyboard.press("Enter");
  },
  "the graph ends green, while the page is open": async () => {
    await says("SUCCEEDED");
    const entered = await marks();
    for (const state of ["Plan", "IsDryRun", "Turn", "HasTurn", "Submit", "HasEnded", "Next", "Notify"]) {
      assert.equal(entered[state], "done", state);
    }
    assert.equal(entered.Failed, "none");
    assert.equal(await page.evaluate(() => document.activeElement.id), "event", "the focus stays");
  },
  "executions, statements, runs and mails arrive": async () => {
    await until("mails", () => document.querySelectorAll(".mail").length === 4);
    await until("cards", () => document.querySelectorAll(".chat .card").length === 4);
    await until("runs", () => document.querySelectorAll("#runs tbody tr").length === 4);
    assert.match(await text("#executions"), /SUCCEEDED.*submit|SUCCEEDED.*notify/s);
    assert.match(await text("#statements"), /dev\.enriched_orders_sp.*FINISHED.*dev\.audit_orders_sp.*FINISHED/s);
    assert.match(await text(".mail:last-of-type"), /for the run id 4\d/);
    assert.match(await text(".chat"), /for the run id 4\d.*loader show 4\d/s);
    await picture("page");
  },
  "the rows of a run stand beside each other": async () => {
    const run = await page.$$("#runs tbody a");
    await Promise.all([page.waitForNavigation(), run[2].click()]);
    await until("rows", () => document.querySelector("#rows table"));
    assert.match(await text("#rows"), /DIFFERENT.*source.*target/s);
  },
  "a run is silenced": async () => {
    await press("[data-run='42']");
    await until("silenced", () => /nobody is told of the run 42 for 7 days/.test(document.querySelector("#said")?.textContent));
    await until("its button", () => document.querySelector("[data-run='42']").textContent === "End the silence");
  },
  "axe finds nothing, in light and dark, on a screen and a phone": async () => {
    await everywhere();
    await page.emulateMediaFeatures([]);
    await page.setViewport(WIDE);
  },
  "a fault fails the next execution, which is run again": async () => {
    await page.select("#faults", "fail");
    await press("#fault");
    await until("set", () => /struck yet/.test(document.querySelector("#waiting").textContent));
    await press("#event");
    await says("FAILED");
    const entered = await marks();
    for (const state of ["StatementFailed", "CancelWhatRuns", "NotifyFailure", "Failed"]) assert.notEqual(entered[state], "none", state);
    await accessible("a failure");
    await picture("page-failure", "section[aria-labelledby=machine-heading]");
    await page.waitForSelector("#again");
    await press("#again");
    await says("SUCCEEDED");
  },
  "the browser has not complained": async () => assert.deepEqual(complaints, []),
  "it is read and used without JavaScript": async () => {
    await page.setJavaScriptEnabled(false);
    await page.goto(url);
    assert.match(await text("#news"), /SUCCEEDED/);
    await Promise.all([page.waitForNavigation(), page.click("#correct")]);
    assert.match(await text("#said"), /Run 44 was corrected/);
    assert.equal(page.url(), url);
    assert.deepEqual(complaints, []);
  },
};

const ofAReport = {
  "a report is one file, and accessible": async () => {
    const loaded = [];
    page.on("request", (request) => loaded.push(request.url()));
    await page.goto(pathToFileURL(process.env.REPORT));
    assert.equal((await marks()).Notify, "done");
    await everywhere();
    assert.deepEqual([...new Set(loaded)], [page.url()]);
    assert.deepEqual(complaints, []);
  },
};

const steps = process.env.REPORT ? ofAReport : ofThePage;
let failed = false;
for (const [name, step] of Object.entries(steps)) {
  const began = Date.now();
  try {
    await step();
    console.log(`ok  ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed = true;
    console.log(`not ok  ${name}\n${error.stack}`);
    console.log(`the news: ${await text("#news").catch(() => "none")}\n${complaints.join("\n")}`);
    break;
  }
}
await browser.close();
process.exitCode = failed ? 1 : 0;
