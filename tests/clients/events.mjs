// Usage: events.mjs URL COUNT 'OPERATION' ['VARIABLES_JSON']
//
// Runs an operation with the real graphql-sse client, each in a connection of its own. One JSON line on
// stdout for each payload, and {"completed":true} when the server says that there are no more.
// Exit: 0 after COUNT payloads or the end, 1 on any error, a lost connection or the timeout, 2 on usage.
import { createClient } from 'graphql-sse';

const TIMEOUT_MS = Number(process.env.PERFGRAPH_CLIENT_TIMEOUT_MS ?? 30_000);

const [url, count, query, variables, ...rest] = process.argv.slice(2);
if (!query || rest.length > 0 || !URL.canParse(url) || !/^[1-9]\d*$/.test(count)) {
  console.error("usage: events.mjs URL COUNT 'OPERATION' ['VARIABLES_JSON']");
  process.exit(2);
}
const line = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
let received = 0;

const deadline = setTimeout(() => {
  console.error(`timeout: ${received} of ${count} payloads in ${TIMEOUT_MS} ms`);
  process.exit(1);
}, TIMEOUT_MS);

// A test wants to see the first failure, not to have it papered over.
const client = createClient({ url, retryAttempts: 0 });

try {
  let isCut = false;
  for await (const payload of client.iterate({ query, variables: variables && JSON.parse(variables) })) {
    line(payload);
    received += 1;
    isCut = received === Number(count);
    if (isCut) break;
  }
  if (!isCut) line({ completed: true });
} catch (failure) {
  console.error(failure?.message || String(failure));
  process.exitCode = 1;
} finally {
  clearTimeout(deadline);
  client.dispose();
}
