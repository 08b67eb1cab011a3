// Usage: dates.mjs BASE_URL
//
// Apollo Client with DateTime as a JavaScript Date, which ends at milliseconds: sent back as it was read, `updatedAt` is a
// CONFLICT that says why, and `version` is none.
import assert from 'node:assert/strict';
import test from 'node:test';

import { gql } from '@apollo/client';

import { connect } from './client.mjs';

const { client } = connect(process.argv[2]);

const UPDATE = gql`
  mutation Update($input: UpdateEmployeeInput!) {
    updateEmployee(input: $input) {
      employee { id name version updatedAt }
      userErrors { code field message }
    }
  }
`;

async function update(input) {
  const { data } = await client.mutate({ mutation: UPDATE, variables: { input } });
  return data.updateEmployee;
}

/** A person whose last change has digits below the millisecond, as 999 of 1,000 have. */
async function person() {
  const { data } = await client.query({ query: gql`{ employees(first: 1) { nodes { id name version updatedAt } } }` });
  let employee = data.employees.nodes[0];
  for (let number = 0; !/\.\d{3}\d*[1-9]\d*Z$/.test(employee.updatedAt); number += 1) {
    ({ employee } = await update({ id: employee.id, name: `Ada ${number}` }));
  }
  return employee;
}

const employee = await person();

test('a Date is not the time that was read, and the conflict says why and what to send', async () => {
  const { employee: changed, userErrors } = await update({
    id: employee.id,
    name: 'Grace',
    ifUpdatedAt: new Date(employee.updatedAt),
  });
  assert.equal(changed, null);
  const [{ code, field, message }] = userErrors;
  assert.deepEqual([code, field], ['CONFLICT', ['ifUpdatedAt']]);
  assert.match(message, /only digits below the millisecond differ/);
  assert.match(message, /`version` as `ifVersion`/);
});

test('the version that was read is the lock that a Date cannot be', async () => {
  const { employee: changed, userErrors } = await update({ id: employee.id, name: 'Grace', ifVersion: employee.version });
  assert.deepEqual(userErrors, []);
  assert.equal(changed.name, 'Grace');
  const again = await update({ id: employee.id, name: 'Barbara', ifVersion: employee.version });
  assert.equal(again.userErrors[0].code, 'CONFLICT');
});
