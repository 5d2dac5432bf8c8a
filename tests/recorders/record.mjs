// Records walks of an account: node record.mjs RECORDER BASE_URL KEY FILE [CONTENT] < thread ids. It is started where the packages are.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(`${process.cwd()}/`);
const [name, baseUrl, key, file, content] = process.argv.slice(2);
const headers = { authorization: `Bearer ${key}` };

async function* pages(get, url) {
    const include = url.endsWith("steps") ? "&include[]=step_details.tool_calls[*].file_search.results[*].content" : "";
    let [more, after] = [true, ""];
    while (more) {
        const answer = await get(`${url}?limit=100&order=asc${include}${after}`);
        yield* answer.data;
        [more, after] = [answer.has_more, `&after=${answer.last_id}`];
    }
}

async function walkAll(get) {
    for (const threadId of readFileSync(0, "utf8").split(/\s+/).filter(Boolean)) {
        for await (const run of pages(get, `${baseUrl}/threads/${threadId}/runs`)) {
            for await (const _ of pages(get, `${baseUrl}/threads/${threadId}/runs/${run.id}/steps`));
        }
    }
}

async function withPolly() {
    const { Polly } = require("@pollyjs/core");
    const adapter = require("@pollyjs/adapter-fetch");
    const persister = require("@pollyjs/persister-fs");
    Polly.register(adapter);
    Polly.register(persister);
    const polly = new Polly("account", {
        adapters: ["fetch"],
        persister: "fs",
        persisterOptions: { fs: { recordingsDir: file } },
        recordIfMissing: true,
    });
    await walkAll(async (url) => (await fetch(url, { headers })).json());
    await polly.stop();
}

async function withPlaywright() {
    const { chromium } = require("playwright-core");
    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
    const context = await browser.newContext({ recordHar: { path: path.resolve(file), content }, extraHTTPHeaders: headers });
    // Of requests that no page makes it records nothing.
    const page = await context.newPage();
    await walkAll(async (url) => (await page.goto(url)).json());
    await context.close();
    await browser.close();
}

await { polly: withPolly, playwright: withPlaywright }[name]();
