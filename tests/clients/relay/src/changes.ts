// Changing people: a new one joins the lists that show them, a deleted one leaves the store.
import { type Environment, ConnectionHandler, commitMutation, graphql } from 'relay-runtime';

import type { changesCreateMutation } from '@artifacts/changesCreateMutation.graphql';
import type { changesDeleteMutation } from '@artifacts/changesDeleteMutation.graphql';
import type { changesUpdateMutation } from '@artifacts/changesUpdateMutation.graphql';

const create = graphql`
  mutation changesCreateMutation($input: CreateEmployeeInput!, $connections: [ID!]!) {
    createEmployee(input: $input) {
      employee @appendNode(connections: $connections, edgeTypeName: "EmployeeEdge") {
        id
        ...people_line
        organization { id employeeCount }
      }
      userErrors { code field message }
    }
  }
`;

const update = graphql`
  mutation changesUpdateMutation($input: UpdateEmployeeInput!) @raw_response_type {
    updateEmployee(input: $input) {
      employee { id name ...people_line }
      userErrors { code field message }
    }
  }
`;

const remove = graphql`
  mutation changesDeleteMutation($id: ID!) {
    deleteEmployee(input: { id: $id }) { deletedId @deleteRecord userErrors { code message } }
  }
`;

type NewEmployee = changesCreateMutation['variables']['input'];

export function hire(environment: Environment, organizationId: string, person: NewEmployee): void {
  const list = ConnectionHandler.getConnectionID(organizationId, 'people_list_employees');
  const variables = { input: { ...person, organizationId }, connections: [list] };
  commitMutation<changesCreateMutation>(environment, { mutation: create, variables });
}

export function rename(environment: Environment, id: string, name: string, onRefused: (why: string) => void): void {
  commitMutation<changesUpdateMutation>(environment, {
    mutation: update,
    variables: { input: { id, name } },
    onCompleted: ({ updateEmployee: { userErrors } }) => userErrors.forEach(({ message }) => onRefused(message)),
  });
}

export function dismiss(environment: Environment, id: string): void {
  commitMutation<changesDeleteMutation>(environment, { mutation: remove, variables: { id } });
}

// @ts-expect-error: an employee has an address
export const incomplete: changesCreateMutation['variables']['input'] = { organizationId: '', name: '', department: '' };
