// Usage: page.mjs BASE_URL
//
// urql reads a list page by page; Graphcache joins what the pages bring.
import assert from 'node:assert/strict';
import test from 'node:test';

import { gql } from '@urql/core';

import { connect } from './client.mjs';

const EMPLOYEES = gql`
  query Employees($first: Int!, $after: String) {
    employees(first: $first, after: $after) {
      totalCount
      edges { cursor node { id name } }
      pageInfo { hasNextPage endCursor }
    }
  }
`;

test('each page joins those before, in order, nothing twice', async () => {
  const { client, sent } = await connect(process.argv[2]);
  const lengths = [];
  let variables = { first: 20 };
  let list;
  do {
    const { data, error } = await client.query(EMPLOYEES, variables);
    assert.equal(error, undefined);
    list = data.employees;
    lengths.push(list.edges.length);
    variables = { first: 20, after: list.pageInfo.endCursor };
  } while (list.pageInfo.hasNextPage);
  assert.deepEqual(lengths, [20, 40, 50]);
  assert.equal(list.totalCount, 50);
  const names = list.edges.map((edge) => edge.node.name);
  assert.deepEqual(names, names.toSorted());
  assert.equal(new Set(list.edges.map((edge) => edge.node.id)).size, 50);
  // The first page again shows all that is known, without a request.
  const { data } = await client.query(EMPLOYEES, { first: 20 });
  assert.equal(data.employees.edges.length, 50);
  assert.equal(sent.requests, 3);
});
