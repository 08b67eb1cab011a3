// Usage: live.mjs BASE_URL
//
// Relay's own store over what compile.mjs made: a connection that grows page by page, a person whose change shows, one
// who joins the list and one who leaves it.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test from 'node:test';

import runtime from 'relay-runtime';

const { ConnectionHandler, Environment, Network, RecordSource, Store } = runtime;
const { commitMutation, createOperationDescriptor, fetchQuery, getSingularSelector } = runtime;
const [baseUrl] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const artifact = (name) => require(`../../../target/test-output/relay-modules/${name}.graphql.js`).default;

let requests = 0;
const network = Network.create(async ({ text }, variables) => {
  requests += 1;
  const body = JSON.stringify({ query: text, variables });
  const headers = { 'content-type': 'application/json', accept: 'application/graphql-response+json' };
  const response = await fetch(`${baseUrl}/graphql`, { method: 'POST', headers, body });
  return response.json();
});
const environment = new Environment({ network, store: new Store(new RecordSource()) });

/** The answer, once the store has it. */
const mutate = (name, variables) =>
  new Promise((resolve, reject) => {
    commitMutation(environment, { mutation: artifact(name), variables, onCompleted: resolve, onError: reject });
  });

const page = createOperationDescriptor(artifact('peoplePageQuery'), { slug: 'organization-1', count: 20 });
environment.retain(page);
await fetchQuery(environment, artifact('peoplePageQuery'), page.request.variables).toPromise();

// What components would read: each its own fragment.
const read = (fragment, from) => environment.lookup(getSingularSelector(artifact(fragment), from)).data;
const organization = () => environment.lookup(page.fragment).data.organization;
const list = () => read('people_list', organization()).employees;
const names = () => list().edges.map(({ node }) => read('people_line', node).name);

test('the next page joins the connection', async () => {
  assert.equal(names().length, 20);
  const variables = { id: organization().id, count: 20, cursor: list().pageInfo.endCursor };
  await fetchQuery(environment, artifact('peopleListRefetchQuery'), variables).toPromise();
  assert.equal(names().length, 25);
  assert.deepEqual(names(), names().toSorted());
  assert.equal(list().pageInfo.hasNextPage, false);
  assert.equal(requests, 2);
});

test('an update shows where the person is shown', async () => {
  const { id } = list().edges[0].node;
  const { updateEmployee } = await mutate('changesUpdateMutation', { input: { id, name: 'Aaron' } });
  assert.deepEqual(updateEmployee.userErrors, []);
  assert.equal(names()[0], 'Aaron');
  assert.equal(requests, 3);
});

let created;
test('a new person joins the list and is counted', async () => {
  const { id, employeeCount } = organization();
  const input = { organizationId: id, name: 'Zoe', email: 'zoe@example.org', department: 'Design' };
  const connections = [ConnectionHandler.getConnectionID(id, 'people_list_employees')];
  const { createEmployee } = await mutate('changesCreateMutation', { input, connections });
  assert.deepEqual(createEmployee.userErrors, []);
  created = createEmployee.employee.id;
  assert.equal(names().at(-1), 'Zoe');
  assert.equal(organization().employeeCount, employeeCount + 1);
  assert.equal(requests, 4);
});

test('a deleted person leaves the list', async () => {
  await mutate('changesDeleteMutation', { id: created });
  assert.ok(!list().edges.some((edge) => edge?.node?.id === created));
  assert.equal(requests, 5);
});
