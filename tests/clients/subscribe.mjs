// Usage: subscribe.mjs URL COUNT 'SUBSCRIPTION' ['VARIABLES_JSON']
//
// Subscribes with the real graphql-ws client. One JSON line on stdout once the socket is
// acknowledged ({"connected":true}), then one for each payload.
// Exit: 0 after COUNT payloads, 1 on any error, an early end or the timeout, 2 on usage.
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

const TIMEOUT_MS = Number(process.env.PERFGRAPH_CLIENT_TIMEOUT_MS ?? 30_000);

function usage(message) {
  console.error(`${message}\nusage: subscribe.mjs URL COUNT 'SUBSCRIPTION' ['VARIABLES_JSON']`);
  process.exit(2);
}

function parseArguments([url, count, query, variables, ...rest]) {
  if (!url || !count || !query) usage('three arguments at least');
  if (rest.length > 0) usage('four arguments at most');
  if (!/^wss?:\/\//.test(url)) usage(`not a ws: or wss: address: ${url}`);
  if (!/^[1-9]\d*$/.test(count)) usage(`not a count: ${count}`);
  if (!(TIMEOUT_MS > 0)) usage('PERFGRAPH_CLIENT_TIMEOUT_MS is not a number of milliseconds');
  try {
    return { url, count: Number(count), query, variables: variables && JSON.parse(variables) };
  } catch (error) {
    return usage(`variables are not JSON: ${error.message}`);
  }
}

/** graphql-ws fails with GraphQL errors, a close event or an Error; one line for each. */
function describe(failure) {
  if (Array.isArray(failure)) return `refused: ${JSON.stringify(failure)}`;
  if (failure?.code !== undefined && failure?.reason !== undefined)
    return `socket closed: ${failure.code} ${failure.reason}`.trimEnd();
  return failure?.message || String(failure);
}

const { url, count, query, variables } = parseArguments(process.argv.slice(2));
const line = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
let received = 0;

const deadline = setTimeout(() => {
  console.error(`timeout: ${received} of ${count} payloads in ${TIMEOUT_MS} ms`);
  process.exit(1);
}, TIMEOUT_MS);

const client = createClient({
  url,
  webSocketImpl: WebSocket,
  // A test wants to see the first failure, not to have it papered over.
  retryAttempts: 0,
  on: { connected: () => line({ connected: true }) },
});

try {
  for await (const payload of client.iterate({ query, variables })) {
    line(payload);
    received += 1;
    if (received === count) break;
  }
  if (received < count) throw new Error(`the server completed after ${received} of ${count} payloads`);
} catch (failure) {
  console.error(describe(failure));
  process.exitCode = 1;
} finally {
  clearTimeout(deadline);
  await client.dispose();
}
