// People below an organization: a page that grows, a line that is read again, a record that an answer changes.
import { type Environment, type FragmentRefs, fetchQuery, graphql } from 'relay-runtime';

import type { peopleLineRefetchQuery } from '@artifacts/peopleLineRefetchQuery.graphql';
import type { peopleListRefetchQuery } from '@artifacts/peopleListRefetchQuery.graphql';
import type { peoplePageQuery } from '@artifacts/peoplePageQuery.graphql';
import type { people_line$data } from '@artifacts/people_line.graphql';
import type { people_list$data, people_list$key } from '@artifacts/people_list.graphql';

const page = graphql`
  query peoplePageQuery($slug: String!, $count: Int!) {
    organization(slug: $slug) {
      id
      name
      employeeCount
      ...people_list @arguments(count: $count)
    }
  }
`;

export const list = graphql`
  fragment people_list on Organization
  @refetchable(queryName: "peopleListRefetchQuery")
  @argumentDefinitions(
    count: { type: "Int", defaultValue: 20 }
    cursor: { type: "String" }
    last: { type: "Int" }
    before: { type: "String" }
  ) {
    employees(first: $count, after: $cursor, last: $last, before: $before) @connection(key: "people_list_employees") {
      totalCount
      edges { cursor node { id ...people_line } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
`;

export const line = graphql`
  fragment people_line on Employee @refetchable(queryName: "peopleLineRefetchQuery") {
    name
    salary
    updatedAt
    organization { name }
  }
`;

export async function first(environment: Environment, slug: string): Promise<people_list$key | null> {
  const data = await fetchQuery<peoplePageQuery>(environment, page, { slug, count: 20 }).toPromise();
  const people: number | undefined = data?.organization?.employeeCount;
  return people === 0 ? null : (data?.organization ?? null);
}

/** What the next page is asked with. */
export function next({ id, employees: { pageInfo } }: people_list$data): peopleListRefetchQuery['variables'] | null {
  return pageInfo.hasNextPage ? { id, cursor: pageInfo.endCursor } : null;
}

export function again({ id }: people_line$data): peopleLineRefetchQuery['variables'] {
  return { id };
}

export function label({ name, salary, updatedAt, organization }: people_line$data): string {
  const changed: string = updatedAt;
  return `${name} of ${organization?.name ?? 'nobody'}, ${salary?.toFixed(2) ?? 'hidden'}, ${changed}`;
}

type Node = people_list$data['employees']['edges'][number]['node'];
export const spread = (node: Node): FragmentRefs<'people_line'> => node[' $fragmentSpreads'];
// @ts-expect-error: a parent does not see what its child asked for
export const peek = (node: Node): string => node.name;
// @ts-expect-error: `count` is needed
export const incomplete: peoplePageQuery['variables'] = { slug: 'x' };
