// Usage: live.mjs BASE_URL
//
// Apollo Client watches metrics as they are recorded: over a WebSocket, and over plain HTTP by multipart answers.
import assert from 'node:assert/strict';
import test from 'node:test';

import { CombinedGraphQLErrors, HttpLink, gql } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient } from 'graphql-ws';
import { firstValueFrom, from, map, mergeMap, take, timeout, toArray } from 'rxjs';
import { WebSocket } from 'ws';

import { connect } from './client.mjs';

// Apollo takes the browser's for granted; Node has one since 22.
globalThis.WebSocket ??= WebSocket;

const baseUrl = process.argv[2];
const { client } = connect(baseUrl);

const WATCH = gql`
  subscription Watch($filter: StreamFilter!, $after: StreamCursor) {
    metricStream(filter: $filter, after: $after) {
      cursor
      metrics { id value project { id name } }
    }
  }
`;

const { data } = await client.query({ query: gql`{ projects(first: 1) { edges { node { id name } } } }` });
const [{ node: project }] = data.projects.edges;
const filter = { projectIds: [project.id] };

/** Records the values and answers the cursor behind them. */
async function record(...values) {
  const { data } = await client.mutate({
    mutation: gql`
      mutation Record($input: IngestMetricsInput!) {
        ingestMetrics(input: $input) { accepted cursor userErrors { message } }
      }
    `,
    variables: {
      input: { projectId: project.id, metrics: values.map((value) => ({ type: 'CUSTOM', endpoint: 'live', value })) },
    },
  });
  assert.equal(data.ingestMetrics.accepted, values.length);
  return data.ingestMetrics.cursor;
}

async function watches(client) {
  const after = await record(1);
  const events = client.subscribe({ query: WATCH, variables: { filter, after } });
  const metrics = events.pipe(mergeMap(({ data, error }) => {
    if (error) throw error;
    return from(data.metricStream.metrics);
  }));
  const seen = firstValueFrom(metrics.pipe(map(({ value, project }) => [value, project.name]), take(4), toArray(), timeout(20_000)));
  await record(2);
  await record(3, 4);
  await record(5);
  assert.deepEqual(await seen, [2, 3, 4, 5].map((value) => [value, project.name]));
}

async function refused(client) {
  const events = client.subscribe({ query: WATCH, variables: { filter: { projectIds: ['UHJvamVjdDo3Nzo3Nw'] } } });
  const { error } = await firstValueFrom(events.pipe(timeout(20_000)));
  assert.ok(CombinedGraphQLErrors.is(error), String(error));
  assert.equal(error.errors[0].extensions.code, 'NOT_FOUND');
}

test('over a WebSocket', async (t) => {
  const socket = createClient({ url: `${baseUrl.replace('http', 'ws')}/graphql` });
  const { client } = connect(baseUrl, { link: new GraphQLWsLink(socket) });
  await t.test('what is recorded arrives in order, from the cursor on', () => watches(client));
  await t.test('a filter that names nothing is an error', () => refused(client));
  await socket.dispose();
});

test('over plain HTTP', async (t) => {
  const accepted = [];
  const link = new HttpLink({
    uri: `${baseUrl}/graphql`,
    fetch: async (url, options) => {
      const response = await fetch(url, options);
      accepted.push(response.headers.get('content-type').split(';')[0]);
      return response;
    },
  });
  const { client } = connect(baseUrl, { link });
  await t.test('what is recorded arrives in order, from the cursor on', () => watches(client));
  assert.deepEqual(accepted, ['multipart/mixed']);
  await t.test('a filter that names nothing is an error', () => refused(client));
});
