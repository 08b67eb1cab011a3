// Usage: operations.mjs URL TOTAL AT_ONCE 'QUERY'
//
// Runs a query TOTAL times with the real graphql-ws client over one socket: half of them one after another, the rest
// AT_ONCE side by side. Prints one JSON line with what came back: {"answered", "distinct", "sockets"}.
// Exit: 0 when every operation was answered, 1 on any error or the timeout, 2 on usage.
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

const TIMEOUT_MS = Number(process.env.PERFGRAPH_CLIENT_TIMEOUT_MS ?? 60_000);

const [url, total, atOnce, query, ...rest] = process.argv.slice(2);
if (!query || rest.length > 0 || !/^[1-9]\d*$/.test(total) || !/^[1-9]\d*$/.test(atOnce)) {
  console.error("usage: operations.mjs URL TOTAL AT_ONCE 'QUERY'");
  process.exit(2);
}

const deadline = setTimeout(() => {
  console.error(`timeout after ${TIMEOUT_MS} ms`);
  process.exit(1);
}, TIMEOUT_MS);

let sockets = 0;
const client = createClient({
  url,
  webSocketImpl: WebSocket,
  retryAttempts: 0,
  // Held open between operations, or each would open a socket of its own.
  lazy: false,
  on: { opened: () => (sockets += 1) },
});

/** The one answer of a query, as text. */
async function answer() {
  const answers = [];
  for await (const payload of client.iterate({ query })) answers.push(payload);
  if (answers.length !== 1 || answers[0].errors) throw new Error(`not one answer: ${JSON.stringify(answers)}`);
  return JSON.stringify(answers[0].data);
}

try {
  const answers = [];
  while (answers.length < total / 2) answers.push(await answer());
  while (answers.length < total) {
    const count = Math.min(Number(atOnce), total - answers.length);
    answers.push(...(await Promise.all(Array.from({ length: count }, answer))));
  }
  console.log(JSON.stringify({ answered: answers.length, distinct: new Set(answers).size, sockets }));
} catch (failure) {
  console.error(failure?.message ?? JSON.stringify(failure));
  process.exitCode = 1;
} finally {
  clearTimeout(deadline);
  await client.dispose();
}
