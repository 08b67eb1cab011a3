// Usage: graphiql.mjs BASE_URL OUTPUT_DIR opening|examples|runs|links|phone
//
// Drives the GraphiQL that perfgraph serves, in a real Chromium, through one scenario, and leaves
// screenshots in OUTPUT_DIR. Any console error, CSP violation or request to another origin is a
// failure, also when the page seems to work.
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

const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

const scenarios = { opening, examples, runs, links, phone };
const [base, output, scenario, ...rest] = process.argv.slice(2);
if (!scenarios[scenario] || rest.length > 0 || !URL.canParse(base)) {
  console.error(`usage: graphiql.mjs BASE_URL OUTPUT_DIR ${Object.keys(scenarios).join('|')}`);
  process.exit(2);
}
const endpoint = new URL('/graphql', base);

/** The whole text of an editor; the DOM holds only the lines in view. */
const textOf = (page, file) =>
  page.evaluate((file) => {
    const models = globalThis.__MONACO?.editor.getModels() ?? [];
    return models.find((model) => model.uri.path.endsWith(file))?.getValue() ?? '';
  }, file);
const responseText = (page) => textOf(page, 'response.json');

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

/** Opens the page, with an operation in the address if there is one, as a browser does. */
async function open(page, operation = {}) {
  const address = new URL(endpoint);
  address.search = new URLSearchParams(operation);
  const response = await page.goto(address.href, { waitUntil: 'domcontentloaded' });
  if (!response?.ok()) throw new Error(`GET ${address} answered ${response?.status()}`);
  // Without the header "no CSP violation" would prove nothing.
  if (!response.headers()['content-security-policy'])
    throw new Error(`GET ${address} has no Content-Security-Policy`);
  await page.locator('.graphiql-query-editor .view-line').first().waitFor();
}

/** Waits until the introspected schema was built: only then the docs list the root types. */
async function schemaIsKnown(page) {
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  await page.locator('.graphiql-doc-explorer').getByRole('link', { name: 'Query', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Hide Documentation Explorer' }).click();
}

const tabNames = (page) => page.locator('.graphiql-tab-button').allTextContents();

/** Syntax colours arrive a moment after the text. */
async function shoot(page, name) {
  await sleep(500);
  await page.screenshot({ path: path.join(output, `graphiql-${name}.png`) });
}

/** Shows the example of that name. */
async function show(page, name) {
  await page.getByRole('tab').getByRole('button', { name, exact: true }).click();
  await page.locator('.graphiql-query-editor').getByText(name, { exact: true }).first().waitFor();
  // GraphiQL parses and validates the new text a debounce after showing it. Nothing on the page tells, so: far longer than
  // that.
  await sleep(1_000);
}

/** Shows the example and presses play; of several operations, it takes the one with the name of the tab. */
async function run(page, name) {
  await show(page, name);
  await page.getByRole('button', { name: /^Execute query/ }).click();
  const choice = page.getByRole('menuitem', { name, exact: true });
  if (await choice.isVisible()) await choice.click();
}

/** The page shows an answer at once, with the statements behind it in lines. */
async function opening(page) {
  await open(page);
  const data = await until(page, 'the page opens without an answer', answer);
  const { sql } = JSON.parse(await responseText(page)).extensions.db;
  await page.locator('.graphiql-response .view-line', { hasText: 'projects' }).waitFor();
  await shoot(page, 'opening');
  return { tabs: await tabNames(page), projects: data.projects.nodes.length, sql };
}

/** What the editors underline. */
const marked = (page) =>
  page.evaluate(() => {
    const markers = globalThis.__MONACO.editor.getModelMarkers({});
    return markers.map(({ message, resource }) => `${resource.path.split('-').at(-1)}: ${message}`);
  });

/** No example is underlined, and one that has a mistake is. */
async function examples(page) {
  await open(page);
  await schemaIsKnown(page);
  const seen = {};
  for (const name of await tabNames(page)) {
    await show(page, name);
    seen[name] = await marked(page);
  }
  const end = Date.now() + STEP_MS;
  const write = (file, text) =>
    page.evaluate(
      ([file, text]) => {
        const models = globalThis.__MONACO.editor.getModels();
        models.find((model) => model.uri.path.endsWith(file)).setValue(text);
      },
      [file, text],
    );
  await write('operation.graphql', 'mutation M($input: IngestMetricsInput!) { ingestMetrics(input: $input) { absent } }');
  await write('variables.json', '{ "input": { "projectId": 1 } }');
  let mistakes = [];
  const isComplete = () => ['operation', 'variables'].every((file) => mistakes.some((one) => one.startsWith(file)));
  while (!isComplete() && Date.now() < end) {
    mistakes = await marked(page);
    await sleep(50);
  }
  return { seen, mistakes };
}

/** An operation in the address becomes a tab, and a query is run; other tabs stay. */
async function links(first) {
  await open(first);
  await until(first, 'the page opens without an answer', answer);
  // GraphiQL stores its tabs a debounce after a change. A new page, because leaving one cuts off what its workers load.
  const visit = async (operation) => {
    await sleep(1_500);
    const page = await first.context().newPage();
    await open(page, operation);
    return page;
  };
  const query = `query Few($first: Int) { organizations(first: $first) { nodes { name } } }
query Many { employees { nodes { name } } }`;
  const variables = '{"first":1}';
  const page = await visit({ query, variables, operationName: 'Few' });
  const few = await until(page, 'the operation of the address was not run', (text) => answer(text)?.organizations);
  await shoot(page, 'linked');
  const tabs = await tabNames(page);
  const again = await visit({ query, variables, operationName: 'Many' });
  const many = await until(again, 'the named operation was not run', (text) => answer(text)?.employees);
  const tabsAgain = await tabNames(again);
  const mutation = 'mutation Danger { createOrganization(input: { name: "Danger" }) { organization { id } } }';
  const danger = await visit({ query: mutation });
  await danger.locator('.graphiql-query-editor').getByText('Danger', { exact: true }).first().waitFor();
  await sleep(1_500);
  const { organizations } = await ask('{ organizations { totalCount } }');
  return {
    few: few.nodes.length,
    many: many.nodes.length,
    tabs,
    tabsAgain,
    organizations: organizations.totalCount,
    afterMutation: await responseText(danger),
  };
}

/** On a phone the operation, the play button and the answer are in view, one below the other. */
async function phone(page) {
  await page.setViewportSize(PHONE);
  await open(page);
  await until(page, 'the page opens without an answer', answer);
  await page.locator('.graphiql-response .view-line', { hasText: 'projects' }).waitFor();
  await shoot(page, 'phone');
  const box = (selector) => page.locator(selector).boundingBox();
  const seen = {
    editor: await box('.graphiql-query-editor'),
    play: await box('.graphiql-execute-button'),
    response: await box('.graphiql-response'),
    sidebar: await box('.graphiql-sidebar'),
    scrollWidth: await page.evaluate(() => document.documentElement.scrollWidth),
  };
  // The bar below the answer can be reached, too.
  await schemaIsKnown(page);
  await run(page, 'SlowestEndpoints');
  const { slowestEndpoints } = await until(page, 'no answer on the phone', (text) => {
    const data = answer(text);
    return data?.slowestEndpoints && data;
  });
  return { ...seen, slowestEndpoints: slowestEndpoints.length };
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

/** A query and a subscription run from their tabs. */
async function runs(page) {
  await open(page);
  await run(page, 'SlowestEndpoints');
  const data = await until(page, 'no answer to SlowestEndpoints', (text) => {
    const data = answer(text);
    return data?.slowestEndpoints && data;
  });
  await page.locator('.graphiql-response .view-line', { hasText: 'slowestEndpoints' }).waitFor();
  await shoot(page, 'query');
  return { slowestEndpoints: data.slowestEndpoints.length, liveEvents: await subscription(page) };
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
    await shoot(page, 'subscription');
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
  const context = await browser.newContext({ viewport: DESKTOP });
  const { problems, counts } = await watch(context, endpoint.host);
  const page = await context.newPage();
  page.setDefaultTimeout(STEP_MS);

  let summary;
  let failure;
  try {
    summary = { ...(await scenarios[scenario](page)), ...counts };
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
