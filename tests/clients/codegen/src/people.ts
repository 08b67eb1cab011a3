// People with Apollo Client: a page, a masked fragment, and what the compiler must refuse.
import { ApolloClient, HttpLink, InMemoryCache } from '@apollo/client';

import { type FragmentType, graphql, useFragment } from '@generated';

const client = new ApolloClient({ cache: new InMemoryCache(), link: new HttpLink({ uri: '/graphql' }) });

export const PersonLine = graphql(/* GraphQL */ `
  fragment PersonLine on Employee {
    id
    name
    email
    isActive
    updatedAt
    salary
    organization { id name }
  }
`);

export const People = graphql(/* GraphQL */ `
  query People($first: Int!, $after: String) {
    employees(first: $first, after: $after) {
      totalCount
      edges { cursor node { id ...PersonLine } }
      pageInfo { hasNextPage endCursor }
    }
  }
`);

/** A component sees of a person what its own fragment asks for. */
export function line(person: FragmentType<typeof PersonLine>): string {
  const { name, email, updatedAt, salary, organization } = useFragment(PersonLine, person);
  const changed: Date = new Date(updatedAt);
  const pay: string = salary == null ? 'hidden' : salary.toFixed(2);
  return `${name} <${email}> of ${organization?.name ?? 'nobody'}, ${pay}, ${changed.toISOString()}`;
}

export async function everyone(): Promise<string[]> {
  const lines: string[] = [];
  let after: string | null | undefined;
  do {
    const { data } = await client.query({ query: People, variables: { first: 100, after } });
    if (!data) throw new Error('no data');
    const total: number = data.employees.totalCount;
    lines.push(...data.employees.edges.map(({ node }) => `${line(node)} of ${total}`));
    after = data.employees.pageInfo.hasNextPage ? data.employees.pageInfo.endCursor : null;
  } while (after);
  return lines;
}

export async function refused(): Promise<void> {
  // @ts-expect-error: `first` is needed
  await client.query({ query: People, variables: {} });
  // @ts-expect-error: a number is not a cursor
  await client.query({ query: People, variables: { first: 1, after: 1 } });
  const { data } = await client.query({ query: People, variables: { first: 1 } });
  // @ts-expect-error: what the fragment asked for is its own
  console.log(data?.employees.edges[0]?.node.email);
}
