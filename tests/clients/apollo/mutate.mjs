// Usage: mutate.mjs BASE_URL
//
// Apollo Client changes people. An answer carries the changed node, so everything that shows it changes with it and
// nothing is asked again.
import assert from 'node:assert/strict';
import test from 'node:test';

import { gql } from '@apollo/client';

import { connect, shown } from './client.mjs';

const { client, sent } = connect(process.argv[2]);

const PEOPLE = gql`
  query People {
    organization(slug: "organization-1") {
      id
      employeeCount
      employees(first: 100) {
        edges { cursor node { id name department updatedAt } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`;
const watched = client.watchQuery({ query: PEOPLE });
const { organization } = await shown(watched, () => true);
const [{ node: first }] = organization.employees.edges;
watched.subscribe(() => {});

const UPDATE = gql`
  mutation Update($input: UpdateEmployeeInput!) {
    updateEmployee(input: $input) {
      employee { id name department updatedAt }
      userErrors { code field message }
    }
  }
`;

const names = ({ organization }) => organization.employees.edges.map((edge) => edge.node.name);

test('an update changes the list that shows the person, without a request', async () => {
  const before = sent.requests;
  const { data } = await client.mutate({ mutation: UPDATE, variables: { input: { id: first.id, name: 'Aaron' } } });
  assert.deepEqual(data.updateEmployee.userErrors, []);
  await shown(watched, (data) => names(data)[0] === 'Aaron');
  assert.equal(sent.requests, before + 1);
});

test('an expected change shows at once, and goes again when the server refuses it', async () => {
  const before = sent.requests;
  // An old copy: somebody changed the person since.
  const input = { id: first.id, department: 'Nowhere', ifUpdatedAt: first.updatedAt };
  const departments = [];
  const subscription = client.watchFragment({
    fragment: gql`fragment Department on Employee { department }`,
    from: { __typename: 'Employee', id: first.id },
  }).subscribe(({ data }) => departments.push(data.department));
  const { data } = await client.mutate({
    mutation: UPDATE,
    variables: { input },
    optimisticResponse: {
      updateEmployee: {
        __typename: 'EmployeePayload',
        employee: { __typename: 'Employee', ...first, department: 'Nowhere' },
        userErrors: [],
      },
    },
  });
  assert.equal(data.updateEmployee.userErrors[0].code, 'CONFLICT');
  await shown(watched, (data) => data.organization.employees.edges[0].node.department === first.department);
  assert.deepEqual(departments, [first.department, 'Nowhere', first.department]);
  assert.equal(sent.requests, before + 1);
  subscription.unsubscribe();
});

let created;
test('a new person is put into the list, and the organization counts them', async () => {
  const before = sent.requests;
  const { data } = await client.mutate({
    mutation: gql`
      mutation Create($input: CreateEmployeeInput!) {
        createEmployee(input: $input) {
          employee { id name department updatedAt organization { id employeeCount } }
          userErrors { code field message }
        }
      }
    `,
    variables: {
      input: { organizationId: organization.id, name: 'Zoe', email: 'zoe@example.org', department: 'Design' },
    },
    update(cache, { data: { createEmployee: { employee } } }) {
      cache.modify({
        id: cache.identify(organization),
        fields: {
          employees: (list, { toReference }) => ({
            ...list,
            edges: [...list.edges, { __typename: 'EmployeeEdge', cursor: '', node: toReference(employee) }],
          }),
        },
      });
    },
  });
  assert.deepEqual(data.createEmployee.userErrors, []);
  created = data.createEmployee.employee.id;
  const { organization: now } = await shown(watched, (data) => names(data).at(-1) === 'Zoe');
  assert.equal(now.employeeCount, organization.employeeCount + 1);
  assert.equal(sent.requests, before + 1);
});

test('a taken address is data for a form', async () => {
  const input = { organizationId: organization.id, name: 'Zoe', email: 'zoe@example.org', department: 'Design' };
  const { data, error } = await client.mutate({
    mutation: gql`
      mutation Again($input: CreateEmployeeInput!) {
        createEmployee(input: $input) { employee { id } userErrors { code field } }
      }
    `,
    variables: { input },
  });
  assert.equal(error, undefined);
  assert.equal(data.createEmployee.employee, null);
  const [{ code, field }] = data.createEmployee.userErrors;
  assert.deepEqual([code, field], ['TAKEN', ['email']]);
});

test('what is deleted leaves every list', async () => {
  const before = sent.requests;
  await client.mutate({
    mutation: gql`mutation Delete($id: ID!) { deleteEmployee(input: { id: $id }) { deletedId userErrors { code } } }`,
    variables: { id: created },
    update(cache, { data: { deleteEmployee: { deletedId } } }) {
      cache.evict({ id: cache.identify({ __typename: 'Employee', id: deletedId }) });
    },
  });
  await shown(watched, (data) => !names(data).includes('Zoe'));
  assert.equal(sent.requests, before + 1);
});
