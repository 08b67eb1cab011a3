// Usage: page.mjs BASE_URL
//
// Apollo Client reads a list page by page; the watched query grows by each page, in order, nothing twice.
import assert from 'node:assert/strict';
import test from 'node:test';

import { gql } from '@apollo/client';

import { connect, shown } from './client.mjs';

const EMPLOYEES = gql`
  query Employees($first: Int!, $after: String) {
    employees(first: $first, after: $after) {
      totalCount
      edges { cursor node { id name } }
      pageInfo { hasNextPage endCursor }
    }
  }
`;

test('fetchMore appends each page to those before', async () => {
  const { client, sent } = connect(process.argv[2]);
  const watched = client.watchQuery({ query: EMPLOYEES, variables: { first: 20 } });
  const lengths = [];
  let list = { edges: [] };
  do {
    const before = list.edges.length;
    if (before > 0) await watched.fetchMore({ variables: { after: list.pageInfo.endCursor } });
    list = (await shown(watched, (data) => data.employees.edges.length > before)).employees;
    lengths.push(list.edges.length);
  } while (list.pageInfo.hasNextPage);
  assert.deepEqual(lengths, [20, 40, 50]);
  assert.equal(list.totalCount, 50);
  const names = list.edges.map((edge) => edge.node.name);
  assert.deepEqual(names, names.toSorted());
  assert.equal(new Set(list.edges.map((edge) => edge.node.id)).size, 50);
  assert.equal(sent.requests, 3);
});

test('a list below an organization pages on its own', async () => {
  const { client } = connect(process.argv[2]);
  const query = gql`
    query People($slug: String!, $after: String) {
      organization(slug: $slug) {
        id
        employees(first: 20, after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor } }
      }
    }
  `;
  for (const slug of ['organization-1', 'organization-2']) {
    const watched = client.watchQuery({ query, variables: { slug } });
    const { organization } = await shown(watched, (data) => data.organization.employees.edges.length === 20);
    await watched.fetchMore({ variables: { after: organization.employees.pageInfo.endCursor } });
    await shown(watched, (data) => data.organization.employees.edges.length === 25);
  }
});

test('another filter or order is another list, and the first one stays', async () => {
  const { client } = connect(process.argv[2]);
  const query = gql`
    query Ordered($filter: EmployeeFilter, $orderBy: [EmployeeOrder!], $after: String) {
      employees(first: 5, after: $after, filter: $filter, orderBy: $orderBy) {
        edges { cursor node { id name } }
        pageInfo { hasNextPage endCursor }
      }
    }
  `;
  const names = (data) => data.employees.edges.map((edge) => edge.node.name);
  const lists = [
    { orderBy: [{ field: 'NAME', direction: 'ASC' }], filter: { department: { eq: 'Design' } } },
    { orderBy: [{ field: 'NAME', direction: 'DESC' }], filter: { department: { eq: 'Design' } } },
  ];
  const shownNames = [];
  for (const variables of lists) {
    const watched = client.watchQuery({ query, variables });
    const first = await shown(watched, (data) => data.employees.edges.length === 5);
    await watched.fetchMore({ variables: { after: first.employees.pageInfo.endCursor } });
    shownNames.push(names(await shown(watched, (data) => data.employees.edges.length === 10)));
  }
  const [ascending, descending] = shownNames;
  assert.deepEqual(ascending, ascending.toSorted());
  assert.deepEqual(descending, descending.toSorted().reverse());
  const again = client.readQuery({ query, variables: lists[0] });
  assert.deepEqual(names(again), ascending);
});
