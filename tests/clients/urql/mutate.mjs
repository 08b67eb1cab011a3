// Usage: mutate.mjs BASE_URL
//
// urql changes people. Graphcache finds the changed node by its id; of new and deleted ones it is told in a few lines.
import assert from 'node:assert/strict';
import test from 'node:test';

import { gql } from '@urql/core';

import { connect } from './client.mjs';

const { client, sent } = await connect(process.argv[2], {
  updates: {
    Mutation: {
      // Where a new person stands, the server knows: the lists of the organization are read again.
      createEmployee({ createEmployee: { employee } }, _, cache) {
        for (const { fieldName, arguments: given } of employee ? cache.inspectFields(employee.organization) : []) {
          if (fieldName === 'employees') cache.invalidate(employee.organization, fieldName, given);
        }
      },
      deleteEmployee({ deleteEmployee: { deletedId } }, _, cache) {
        if (deletedId) cache.invalidate({ __typename: 'Employee', id: deletedId });
      },
    },
  },
});

const PEOPLE = gql`
  query People {
    organization(slug: "organization-1") {
      id
      employeeCount
      employees(first: 100) { edges { node { id name updatedAt } } }
    }
  }
`;

/** What a page would show, and a promise of when it is as it should be. */
const page = { data: undefined, waiting: [] };
client.query(PEOPLE, {}).subscribe(({ data, error }) => {
  assert.equal(error, undefined);
  page.data = data;
  page.waiting = page.waiting.filter(({ isShown, resolve }) => !(isShown(data) && resolve(data) === undefined));
});
const shows = (isShown) =>
  new Promise((resolve, reject) => {
    if (page.data && isShown(page.data)) return resolve(page.data);
    const late = setTimeout(() => reject(new Error(`never shown: ${isShown}`)), 20_000);
    page.waiting.push({ isShown, resolve: (data) => (clearTimeout(late), resolve(data)) });
  });
const names = ({ organization }) => organization.employees.edges.map(({ node }) => node.name);

const { organization } = await shows(() => true);
const [{ node: first }] = organization.employees.edges;

const UPDATE = gql`
  mutation Update($input: UpdateEmployeeInput!) {
    updateEmployee(input: $input) {
      employee { id name updatedAt }
      userErrors { code field message }
    }
  }
`;

test('an update changes the list that shows the person, without a request', async () => {
  const before = sent.requests;
  const { data, error } = await client.mutation(UPDATE, { input: { id: first.id, name: 'Aaron' } });
  assert.equal(error, undefined);
  assert.deepEqual(data.updateEmployee.userErrors, []);
  await shows((data) => names(data)[0] === 'Aaron');
  assert.equal(sent.requests, before + 1);
});

test('an old copy is refused, and what is shown stays', async () => {
  const input = { id: first.id, name: 'Too late', ifUpdatedAt: first.updatedAt };
  const { data, error } = await client.mutation(UPDATE, { input });
  assert.equal(error, undefined);
  assert.equal(data.updateEmployee.employee, null);
  assert.equal(data.updateEmployee.userErrors[0].code, 'CONFLICT');
  assert.equal(names(page.data)[0], 'Aaron');
});

test('a new person is counted by the answer, and the list is read again', async () => {
  const before = sent.requests;
  const { data, error } = await client.mutation(
    gql`
      mutation Create($input: CreateEmployeeInput!) {
        createEmployee(input: $input) {
          employee { id name organization { id employeeCount } }
          userErrors { code field message }
        }
      }
    `,
    { input: { organizationId: organization.id, name: 'Zoe', email: 'zoe@example.org', department: 'Design' } },
  );
  assert.equal(error, undefined);
  assert.deepEqual(data.createEmployee.userErrors, []);
  const now = await shows((data) => names(data).at(-1) === 'Zoe');
  assert.equal(now.organization.employeeCount, organization.employeeCount + 1);
  assert.equal(sent.requests, before + 2);
});

test('what is deleted leaves the list', async () => {
  const { node } = page.data.organization.employees.edges.at(-1);
  const { data, error } = await client.mutation(
    gql`mutation Delete($id: ID!) { deleteEmployee(input: { id: $id }) { deletedId userErrors { code } } }`,
    { id: node.id },
  );
  assert.equal(error, undefined);
  assert.equal(data.deleteEmployee.deletedId, node.id);
  await shows((data) => !names(data).includes('Zoe'));
});
