// Dumps all runs and steps with a client for Node as users do, and prints the ids of the threads that the client can read:
// node dump_account.mjs CLIENT BASE_URL KEY FOLDER < thread ids
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

// The packages stand in the folder that this is started in.
const require = createRequire(`${process.cwd()}/`);
const [name, baseUrl, key, folder] = process.argv.slice(2);
// What a sync asks for.
const include = ["step_details.tool_calls[*].file_search.results[*].content"];
const threadIds = readFileSync(0, "utf8").split(/\s+/).filter(Boolean);

function readWithOpenai() {
    const { OpenAI } = require("openai");
    const { threads } = new OpenAI({ baseURL: baseUrl, apiKey: key }).beta;
    return async function* (threadId) {
        for await (const run of threads.runs.list(threadId, { limit: 100, order: "asc" })) {
            yield run;
            yield* threads.runs.steps.list(run.id, { thread_id: threadId, limit: 100, order: "asc", include });
        }
    };
}

function readWithAzure() {
    const { AgentsClient } = require("@azure/ai-agents");
    const client = new AgentsClient(baseUrl, { getToken: async () => null }, { allowInsecureConnection: true });
    // It sends tokens over https only.
    client.pipeline.removePolicy({ name: "bearerTokenAuthenticationPolicy" });
    client.pipeline.addPolicy({
        name: "key",
        sendRequest: (request, next) => (request.headers.set("authorization", `Bearer ${key}`), next(request)),
    });
    return async function* (threadId) {
        for await (const run of client.runs.list(threadId, { limit: 100, order: "asc" })) {
            yield run;
            yield* client.runSteps.list(threadId, run.id, { limit: 100, order: "asc", include });
        }
    };
}

const lines = [];
const read = { openai: readWithOpenai, azure: readWithAzure }[name]();
for (const threadId of threadIds) {
    const ofThread = [];
    try {
        for await (const value of read(threadId)) ofThread.push(`${JSON.stringify(value)}\n`);
    } catch (error) {
        // A client that cannot read what a server sends: its users have no dump of this thread.
        if (!(error instanceof TypeError)) throw error;
        console.error(`${threadId}: ${error.message}`);
        continue;
    }
    lines.push(...ofThread);
    console.log(threadId);
}
writeFileSync(`${folder}/stringify.jsonl`, lines.join(""));
