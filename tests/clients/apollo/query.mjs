// Usage: query.mjs BASE_URL
//
// Apollo Client queries, and keeps what it got by id: one record whichever way it came.
import assert from 'node:assert/strict';
import test from 'node:test';

import { gql } from '@apollo/client';

import { connect } from './client.mjs';

const { client, sent } = connect(process.argv[2]);

const ORGANIZATION = gql`
  query Organization($slug: String!) {
    organization(slug: $slug) {
      id
      name
      employeeCount
      employees(first: 3) {
        edges { node { id name email isActive organization { id } } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`;

test('an organization with its people', async () => {
  const { data, error } = await client.query({ query: ORGANIZATION, variables: { slug: 'organization-1' } });
  assert.equal(error, undefined);
  assert.equal(data.organization.name, 'Organization 01');
  assert.equal(data.organization.employeeCount, 25);
  const names = data.organization.employees.edges.map((edge) => edge.node.name);
  assert.deepEqual(names, ['Employee 001', 'Employee 002', 'Employee 003']);
  assert.equal(sent.requests, 1);
});

test('what is in the cache is not asked again', async () => {
  const { data } = await client.query({ query: ORGANIZATION, variables: { slug: 'organization-1' } });
  assert.equal(data.organization.employees.edges.length, 3);
  assert.equal(sent.requests, 1);
});

test('a person that a list brought is found by id without a request', async () => {
  const cached = client.cache.extract();
  const people = Object.keys(cached).filter((key) => key.startsWith('Employee:'));
  assert.equal(people.length, 3);
  const id = people[0].slice('Employee:'.length);
  const query = gql`query Employee($id: ID!) { employee(id: $id) { id name email organization { id } } }`;
  const { data } = await client.query({ query, variables: { id } });
  assert.equal(data.employee.id, id);
  assert.equal(sent.requests, 1);
  // The record of the organization is shared, not copied into each person.
  assert.deepEqual(Object.keys(cached).filter((key) => key.startsWith('Organization:')), [
    cached[people[0]].organization.__ref,
  ]);
});

test('a fragment on the interface reads any node', async () => {
  const query = gql`
    query Nodes($ids: [ID!]!) {
      nodes(ids: $ids) { ...Label }
    }
    fragment Label on Node {
      id
      ... on Organization { name }
      ... on Employee { name department }
    }
  `;
  const ids = Object.keys(client.cache.extract())
    .filter((key) => /^(Organization|Employee):/.test(key))
    .map((key) => key.slice(key.indexOf(':') + 1));
  const { data } = await client.query({ query, variables: { ids } });
  assert.deepEqual(data.nodes.map((node) => node.id), ids);
  for (const node of data.nodes) assert.match(node.name, /^(Organization|Employee) 0/);
});
