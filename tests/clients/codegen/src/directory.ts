// Grids over the directory: filters, orders by several keys, pages by number.
import { ApolloClient, HttpLink, InMemoryCache } from '@apollo/client';

import { graphql } from '@generated';
import type { EmployeeFilter, EmployeeOrder, EmployeesGridQueryVariables } from '@generated/graphql';

const client = new ApolloClient({ cache: new InMemoryCache(), link: new HttpLink({ uri: '/graphql' }) });

export const EmployeesGrid = graphql(/* GraphQL */ `
  query EmployeesGrid($page: Int!, $filter: EmployeeFilter, $orderBy: [EmployeeOrder!]) {
    employeesPage(page: $page, pageSize: 50, filter: $filter, orderBy: $orderBy) {
      nodes { id name department }
      totalCount
      pageCount
    }
  }
`);

export const ProjectsOf = graphql(/* GraphQL */ `
  query ProjectsOf($memberId: ID!, $last: Int!, $before: String) {
    projects(last: $last, before: $before, filter: { memberId: $memberId, status: ACTIVE }, orderBy: [{ field: NAME }]) {
      edges { cursor node { id name organization { id } } }
      pageInfo { hasPreviousPage startCursor }
    }
  }
`);

const orderBy: EmployeeOrder[] = [{ field: 'DEPARTMENT', direction: 'DESC' }, { field: 'NAME' }];
const filter: EmployeeFilter = {
  isActive: true,
  or: [{ name: { startsWith: 'A' } }, { not: { department: { in: ['Design', 'Research'] } } }],
};

export async function grid(page: number): Promise<string> {
  const variables: EmployeesGridQueryVariables = { page, filter, orderBy };
  const { data } = await client.query({ query: EmployeesGrid, variables });
  const found = data?.employeesPage;
  return `${found?.nodes.map(({ name }) => name).join(', ')} (${page} of ${found?.pageCount}, ${found?.totalCount} people)`;
}

// @ts-expect-error: nothing is ordered by that
export const unordered: EmployeeOrder = { field: 'SHOE_SIZE' };
// @ts-expect-error: a filter compares by name
export const loose: EmployeeFilter = { name: 'Ada' };
