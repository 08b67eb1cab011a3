// Usage: run.mjs BASE_URL
//
// Uses the compiled files of docs/frontend.md as a frontend would. It runs in the folder that ../recipes.mjs makes.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';

import { gql } from '@apollo/client';
import { getIntrospectionQuery } from 'graphql';
import { WebSocket } from 'ws';

import { FIGURES, connect as apollo } from './apollo.js';
import codegen from './codegen.js';
import { follow } from './live.js';
import { everyProject } from './paging.js';
import { connect as urql } from './urql.js';
import { read, rename } from './version.js';

const baseUrl = process.argv[2];
const url = `${baseUrl}/graphql`;

async function ask(query, variables) {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined);
  return data;
}

const schema = await ask(getIntrospectionQuery({ descriptions: false, inputValueDeprecation: true, oneOf: true }));
const types = schema.__schema.types;
const named = (type) => (type.ofType ? named(type.ofType) : type);
const isList = (type) => type.kind === 'LIST' || (type.ofType !== null && type.ofType !== undefined && isList(type.ofType));

test('every scalar of the schema has a type', () => {
  const scalars = types.filter(({ kind }) => kind === 'SCALAR').map(({ name }) => name);
  const builtIn = ['Boolean', 'Float', 'Int', 'String'];
  const typed = Object.keys(codegen.generates['./src/gql/'].config.scalars);
  assert.deepEqual(scalars.filter((name) => !builtIn.includes(name)).toSorted(), typed.toSorted());
});

test('every figure of the schema is merged', () => {
  const objects = types.filter(({ kind, name }) => kind === 'OBJECT' && !name.startsWith('__'));
  const roots = ['queryType', 'mutationType', 'subscriptionType'].map((root) => schema.__schema[root].name);
  // A payload, an event and a page are written once, by the operation that asked for them.
  const once = /(Payload|Connection|Edge|Page|PageInfo|Event|EntityChange)$/;
  const holders = objects.filter(({ name }) => !once.test(name) && name !== roots[1] && name !== roots[2]);
  const single = holders.flatMap(({ fields }) => fields.filter(({ type }) => !isList(type)).map(({ type }) => named(type).name));
  const figures = objects.filter(
    ({ name, fields }) => single.includes(name) && !once.test(name) && !fields.some((field) => field.name === 'id'),
  );
  assert.deepEqual(figures.map(({ name }) => name).toSorted(), [...FIGURES].toSorted());
});

test('days of a time zone begin at its midnight', async () => {
  const { projects } = await ask('{ projects(first: 1) { nodes { id } } }');
  const document = await readFile(new URL('days.graphql', import.meta.url), 'utf8');
  const { metricSeries } = await ask(document, { projectId: projects.nodes[0].id });
  assert.ok(metricSeries.length >= 30 && metricSeries.some(({ stats }) => stats.count > 0));
  const clock = new Intl.DateTimeFormat('de-DE', { timeZone: 'Europe/Berlin', timeStyle: 'medium' });
  assert.deepEqual(new Set(metricSeries.map(({ start }) => clock.format(new Date(start)))), new Set(['00:00:00']));
});

test('two parts of a page ask for different figures of one report', async () => {
  const client = apollo(url);
  const figure = (name) => gql`{ metricStats(filter: { time: { last: "P1D" } }) { ${name} accuracy { isExact } } }`;
  const first = await client.query({ query: figure('count') });
  await client.query({ query: figure('average') });
  assert.equal(first.data.metricStats.accuracy.isExact, true);
  // What the first part shows is still complete.
  assert.deepEqual(client.readQuery({ query: figure('count') }), first.data);
});

test('Apollo joins the pages of nodes', async () => {
  const client = apollo(url);
  const { projects } = await ask('{ projects(first: 100) { totalCount nodes { id } } }');
  const nodes = await everyProject(client, 3);
  assert.equal(nodes.length, projects.totalCount);
  assert.deepEqual(nodes.map(({ id }) => id), projects.nodes.map(({ id }) => id));
});

test('urql joins the pages of nodes', async () => {
  const client = urql(url, schema);
  const query = gql`
    query($after: String) {
      projects(first: 3, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } }
      metricStats { count average accuracy { isExact } }
    }
  `;
  const { projects } = await ask('{ projects(first: 100) { nodes { id } } }');
  let list;
  for (let after = null; ; after = list.pageInfo.endCursor) {
    const { data, error } = await client.query(query, { after });
    assert.equal(error, undefined);
    list = data.projects;
    if (!list.pageInfo.hasNextPage) break;
  }
  assert.deepEqual(list.nodes.map(({ id }) => id), projects.nodes.map(({ id }) => id));
});

test('a change on an old version is refused and shows the new state', async () => {
  const client = apollo(url);
  const { employees } = await ask('{ employees(first: 1) { nodes { id } } }');
  const old = await read(client, employees.nodes[0].id);
  const changed = await rename(client, old, 'Name of the first');
  assert.equal(changed.isChanged, true);
  assert.equal(changed.employee.name, 'Name of the first');
  const refused = await rename(client, old, 'Name of the second');
  assert.equal(refused.isChanged, false);
  assert.equal(refused.employee.name, 'Name of the first');
  assert.equal((await rename(client, refused.employee, 'Name of the second')).isChanged, true);
});

test('the next visit goes on where the last one ended', async () => {
  const { projects } = await ask('{ projects(first: 1) { nodes { id } } }');
  const projectId = projects.nodes[0].id;
  const kept = new Map();
  const store = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
  const urls = [url.replace('http', 'ws')];
  const send = (value) => {
    const metrics = [{ type: 'API_RESPONSE', endpoint: 'GET /recipes', value }];
    return ask('mutation($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted } }', {
      input: { projectId, metrics },
    });
  };
  /** The values that a visit shows until `last` came. */
  async function visit(last, before) {
    const values = [];
    let isOpen = false;
    await follow(
      urls,
      projectId,
      store,
      ({ metrics }) => {
        values.push(...metrics.map(({ value }) => value));
        if (!isOpen) before?.();
        isOpen = true;
        return !values.includes(last);
      },
      WebSocket,
    );
    return values;
  }
  // A stream that begins now says so with an event without metrics, at once or after 15 seconds; measurements end the wait.
  const sending = setInterval(() => void send(1), 200);
  assert.ok((await visit(1, () => clearInterval(sending))).length > 0);
  clearInterval(sending);
  await send(2);
  await send(3);
  const values = await visit(3);
  assert.deepEqual(values.filter((value) => value !== 1), [2, 3]);
});
