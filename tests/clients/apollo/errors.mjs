// Usage: errors.mjs BASE_URL
//
// What a frontend sees of a failure in Apollo Client: partial data, a refused document, a broken line.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import test from 'node:test';

import { CombinedGraphQLErrors, HttpLink, ServerError, gql } from '@apollo/client';

import { connect } from './client.mjs';

const baseUrl = process.argv[2];
const { client } = connect(baseUrl, { defaultOptions: { query: { fetchPolicy: 'no-cache', errorPolicy: 'all' } } });

test('a failed field leaves its neighbours', async () => {
  // Neither an id nor a slug: the field fails, and it may be null.
  const { data, error } = await client.query({ query: gql`{ viewer { role } organization { id } }` });
  assert.deepEqual(data, {
    viewer: { __typename: 'Viewer', role: 'OWNER' },
    organization: null,
  });
  assert.ok(CombinedGraphQLErrors.is(error), String(error));
  assert.deepEqual(error.errors[0].path, ['organization']);
  assert.equal(error.errors[0].extensions.code, 'BAD_USER_INPUT');
});

test('without errorPolicy the promise is rejected with the same errors', async () => {
  const { client } = connect(baseUrl);
  await assert.rejects(client.query({ query: gql`{ organization { id } }` }), (error) => {
    assert.ok(CombinedGraphQLErrors.is(error), String(error));
    return error.errors[0].extensions.code === 'BAD_USER_INPUT';
  });
});

test('a refused document keeps its errors under status 400', async () => {
  const statuses = [];
  const link = new HttpLink({
    uri: `${baseUrl}/graphql`,
    fetch: async (url, options) => {
      const response = await fetch(url, options);
      statuses.push([response.status, response.headers.get('content-type').split(';')[0]]);
      return response;
    },
  });
  const { client } = connect(baseUrl, { link, defaultOptions: { query: { errorPolicy: 'all' } } });
  const { data, error } = await client.query({ query: gql`{ nothing }` });
  assert.equal(data, undefined);
  assert.ok(CombinedGraphQLErrors.is(error), String(error));
  assert.equal(error.errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
  assert.deepEqual(statuses, [[400, 'application/graphql-response+json']]);
});

test('variables that do not fit are named', async () => {
  const query = gql`query Page($first: Int) { employees(first: $first) { nodes { id } } }`;
  const { error } = await client.query({ query, variables: { first: 'ten' } });
  assert.ok(CombinedGraphQLErrors.is(error), String(error));
  assert.equal(error.errors[0].extensions.code, 'BAD_USER_INPUT');
  assert.match(error.message, /first/);
});

test('what is not GraphQL is a ServerError with its status', async () => {
  const link = new HttpLink({ uri: `${baseUrl}/nowhere` });
  const { client } = connect(baseUrl, { link, defaultOptions: { query: { errorPolicy: 'all' } } });
  const { error } = await client.query({ query: gql`{ viewer { role } }` });
  assert.ok(ServerError.is(error), String(error));
  assert.equal(error.statusCode, 404);
});

test('a broken line is an error too, and the next try succeeds', async () => {
  const closed = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => closed.once('listening', resolve));
  const uris = [`http://127.0.0.1:${closed.address().port}/graphql`, `${baseUrl}/graphql`];
  await new Promise((resolve) => closed.close(resolve));
  const link = new HttpLink({ uri: () => uris.shift() });
  const { client } = connect(baseUrl, { link });
  const query = gql`{ viewer { role } }`;
  await assert.rejects(client.query({ query }), /fetch failed/);
  const { data } = await client.query({ query });
  assert.equal(data.viewer.role, 'OWNER');
});
