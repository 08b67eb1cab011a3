// Changing people: what goes in, what comes out, and the expected failures for a form.
import { graphql } from '@generated';
import type {
  ChangeEmployeeMutation,
  CreateProjectInput,
  UpdateEmployeeInput,
  UserErrorCode,
} from '@generated/graphql';

export const ChangeEmployee = graphql(/* GraphQL */ `
  mutation ChangeEmployee($input: UpdateEmployeeInput!) {
    updateEmployee(input: $input) {
      employee { id name department salary updatedAt }
      userErrors { code field message }
    }
  }
`);

export const StartProject = graphql(/* GraphQL */ `
  mutation StartProject($input: CreateProjectInput!, $archived: ID!) {
    createProject(input: $input) {
      project { id slug status members(first: 10) { edges { role joinedAt node { id name } } } }
      userErrors { code field message }
    }
    archiveProject(input: { id: $archived }) { project { id status } userErrors { code } }
  }
`);

/** Null clears, what is left out stays; the lock is the time that was read. */
export function withoutSalary(read: { id: string; updatedAt: string }): UpdateEmployeeInput {
  return { id: read.id, salary: null, ifUpdatedAt: read.updatedAt };
}

const texts: Record<UserErrorCode, string> = {
  INVALID: 'please correct',
  NOT_FOUND: 'is gone',
  TAKEN: 'is taken',
  CONFLICT: 'somebody was faster',
  FORBIDDEN: 'not for you',
  TOO_LARGE: 'too much',
};

/** For each field of a form what is wrong with it. */
export function form({ updateEmployee }: ChangeEmployeeMutation): Map<string, string> {
  return new Map(updateEmployee.userErrors.map(({ field, code }) => [field?.join('.') ?? '', texts[code]]));
}

// @ts-expect-error: a project has a name
export const nameless: CreateProjectInput = { organizationSlug: 'acme' };
// @ts-expect-error: which one?
export const anonymous: UpdateEmployeeInput = { name: 'Nobody' };
