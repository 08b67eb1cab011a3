// Usage: query.mjs BASE_URL
//
// urql queries through Graphcache, which knows the schema; what it got is found again by id.
import assert from 'node:assert/strict';
import test from 'node:test';

import { gql } from '@urql/core';

import { connect } from './client.mjs';

const { client, sent } = await connect(process.argv[2], {
  resolvers: { employee: (_, { id }) => ({ __typename: 'Employee', id }) },
});

const ORGANIZATION = gql`
  query Organization($slug: String!) {
    organization(slug: $slug) {
      id
      name
      employees(first: 3) { edges { node { id name email } } }
    }
  }
`;

test('an organization with its people', async () => {
  const { data, error } = await client.query(ORGANIZATION, { slug: 'organization-1' });
  assert.equal(error, undefined);
  assert.equal(data.organization.name, 'Organization 01');
  assert.equal(data.organization.employees.edges.length, 3);
  assert.equal(sent.requests, 1);
});

test('what is in the cache is not asked again, and a person is found by id', async () => {
  const { data } = await client.query(ORGANIZATION, { slug: 'organization-1' });
  const { node } = data.organization.employees.edges[1];
  const query = gql`query Employee($id: ID!) { employee(id: $id) { id name email } }`;
  const found = await client.query(query, { id: node.id });
  assert.equal(found.error, undefined);
  assert.equal(found.data.employee.name, node.name);
  assert.equal(sent.requests, 1);
});

test('figures without an id stay inside of their query', async () => {
  const query = gql`
    query Summary($filter: MetricFilter) {
      performanceSummary(type: API_RESPONSE, filter: $filter) {
        count
        stats { percentiles(ps: [50, 95]) { p value } accuracy { isExact } }
      }
    }
  `;
  const { data, error } = await client.query(query, { filter: { time: { last: 'PT1H' } } });
  assert.equal(error, undefined);
  assert.ok(data.performanceSummary.count > 0);
  assert.deepEqual(data.performanceSummary.stats.percentiles.map(({ p }) => p), [50, 95]);
});

test('a failed field leaves its neighbours', async () => {
  const { data, error } = await client.query(gql`{ viewer { role } organization { id } }`, {});
  assert.equal(data.viewer.role, 'OWNER');
  assert.equal(data.organization, null);
  assert.equal(error.graphQLErrors[0].extensions.code, 'BAD_USER_INPUT');
  assert.deepEqual(error.graphQLErrors[0].path, ['organization']);
});

test('a refused document and a missing page are told apart', async () => {
  const context = { requestPolicy: 'network-only' };
  const refused = await client.query(gql`query ($first: Int) { employees(first: $first) { nodes { id } } }`, { first: 'ten' }, context);
  assert.equal(refused.error.graphQLErrors[0].extensions.code, 'BAD_USER_INPUT');
  assert.equal(refused.error.networkError, undefined);
  const url = `${process.argv[2]}/nowhere`;
  const missing = await client.query(gql`{ viewer { role } }`, {}, { ...context, url });
  assert.match(String(missing.error.networkError), /404|Not Found/);
});
