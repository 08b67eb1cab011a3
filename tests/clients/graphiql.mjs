// Usage: graphiql.mjs BASE_URL OUTPUT_DIR
//
// Drives the GraphiQL that perfgraph serves, in a real Chromium: runs the SlowestEndpoints tab,
// then the LiveMetrics tab, and leaves a screenshot of each in OUTPUT_DIR. Any console error,
// CSP violation or request to another origin is a failure, also when the page seems to work.
// Prints one JSON line. Exit: 0 fine, 1 failed, 2 usage.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { watch } from './watch.mjs';

const TIMEOUT_MS = 90_000;
const STEP_MS = 20_000;
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
// No sandbox: tests run as root in containers. The rest keeps Chromium from calling home.
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const [base, output, ...rest] = process.argv.slice(2);
if (!output || rest.length > 0 || !URL.canParse(base)) {
  console.error('usage: graphiql.mjs BASE_URL OUTPUT_DIR');
  process.exit(2);
}
const endpoint = new URL('/graphql', base);

/** The whole text of the response pane; the DOM holds only the lines in view. */
const responseText = (page) =>
  page.evaluate(() => {
    const models = globalThis.__MONACO?.editor.getModels() ?? [];
    return models.find((model) => model.uri.path.endsWith('response.json'))?.getValue() ?? '';
  });

/** Reads the pane until `accept` gives something other than undefined, or fails by `what`. */
async function until(page, what, accept) {
  const end = Date.now() + STEP_MS;
  let text = '';
  while (Date.now() < end) {
    text = await responseText(page);
    const result = accept(text);
    if (result !== undefined) return result;
    await sleep(50);
  }
  throw new Error(`${what}; the response pane says: ${text.slice(0, 500) || '(nothing)'}`);
}

/** The pane's JSON, or undefined while it is empty or half-written. */
function answer(text) {
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (json.errors) throw new Error(`the server answered errors: ${text.slice(0, 500)}`);
  return json.data ?? undefined;
}

async function open(page) {
  const response = await page.goto(endpoint.href, { waitUntil: 'domcontentloaded' });
  if (!response?.ok()) throw new Error(`GET ${endpoint} answered ${response?.status()}`);
  // Without the header "no CSP violation" would prove nothing.
  if (!response.headers()['content-security-policy'])
    throw new Error(`GET ${endpoint} has no Content-Security-Policy`);
  await page.locator('.graphiql-query-editor .view-line').first().waitFor();
  // The docs list the root types only once the introspected schema was built.
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  await page.locator('.graphiql-doc-explorer').getByRole('link', { name: 'Query', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Hide Documentation Explorer' }).click();
}

/** Shows the example of that name and presses play. */
async function run(page, name) {
  await page.getByRole('tab').getByRole('button', { name, exact: true }).click();
  await page.locator('.graphiql-query-editor').getByText(name, { exact: true }).first().waitFor();
  // GraphiQL parses the new text a debounce after showing it; until then it would send the
  // operation name of the tab before. Nothing on the page tells, so: far longer than the 100 ms.
  await sleep(1_000);
  await page.getByRole('button', { name: /^Execute query/ }).click();
}

async function query(page) {
  await run(page, 'SlowestEndpoints');
  const data = await until(page, 'no answer to SlowestEndpoints', answer);
  if (!Array.isArray(data.slowestEndpoints)) throw new Error('the answer has no "slowestEndpoints"');
  await page.locator('.graphiql-response .view-line', { hasText: 'slowestEndpoints' }).waitFor();
  await sleep(500); // syntax colours arrive a moment after the text
  await page.screenshot({ path: path.join(output, 'graphiql-query.png') });
  return data.slowestEndpoints.length;
}

/** Sends an operation and returns its data. */
async function ask(query, variables) {
  const body = JSON.stringify({ query, variables });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(endpoint, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`POST ${endpoint} answered ${response.status}`);
  return (await response.json()).data;
}

/** Records metrics until told to stop. */
async function makeTraffic(signal) {
  const { projects } = await ask('{ projects(first: 1) { nodes { id } } }');
  const metrics = [{ type: 'API_RESPONSE', endpoint: 'GET /orders', value: 12, statusCode: 200 }];
  const input = { projectId: projects.nodes[0].id, metrics };
  const mutation =
    'mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted } }';
  while (!signal.aborted) {
    const { ingestMetrics } = await ask(mutation, { input });
    if (ingestMetrics.accepted !== 1) throw new Error('the measurement was not recorded');
    await sleep(200);
  }
}

async function subscription(page) {
  await run(page, 'LiveMetrics');
  const stop = new AbortController();
  const traffic = makeTraffic(stop.signal);
  // Two different events with metrics: heartbeats change the pane too, but show nothing.
  const seen = new Set();
  const moved = until(page, 'the LiveMetrics pane did not move twice', (text) => {
    if (answer(text)?.metricStream?.metrics.length > 0) seen.add(text);
    return seen.size >= 2 ? seen.size : undefined;
  });
  try {
    // The traffic ends only by a failure here, which is then the better message.
    await Promise.race([moved, traffic]);
    await sleep(500);
    await page.screenshot({ path: path.join(output, 'graphiql-subscription.png') });
  } finally {
    stop.abort();
    await Promise.allSettled([moved, traffic]);
  }
  await page.getByRole('button', { name: /^Stop query/ }).click();
  await page.getByRole('button', { name: /^Execute query/ }).waitFor();
  return seen.size;
}

const deadline = setTimeout(() => {
  console.error(`timeout: not done in ${TIMEOUT_MS} ms`);
  process.exit(1); // playwright takes Chromium down with the process
}, TIMEOUT_MS);

let browser;
try {
  await mkdir(output, { recursive: true });
  browser = await chromium.launch({ executablePath: EXECUTABLE, args: FLAGS });
  const context = await browser.newContext({ viewport: { width: 1360, height: 820 } });
  const { problems, counts } = await watch(context, endpoint.host);
  const page = await context.newPage();
  page.setDefaultTimeout(STEP_MS);

  let summary;
  let failure;
  try {
    await open(page);
    summary = { slowestEndpoints: await query(page), liveEvents: await subscription(page), ...counts };
  } catch (error) {
    failure = error;
  }
  // Problems first: they are usually why a step failed. One bad rule can repeat a thousand times.
  for (const problem of [...new Set(problems)].slice(0, 20)) console.error(problem.slice(0, 300));
  if (failure) throw failure;
  if (problems.length > 0) throw new Error(`${problems.length} problem(s) on the page`);
  console.log(JSON.stringify(summary));
} catch (error) {
  console.error(`graphiql.mjs: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser?.close();
  clearTimeout(deadline);
}
