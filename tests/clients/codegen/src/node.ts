// Anything by its id: the interface narrows by `__typename`.
import { graphql } from '@generated';
import type { NodeByIdQuery } from '@generated/graphql';

export const NodeById = graphql(/* GraphQL */ `
  query NodeById($id: ID!) {
    node(id: $id) {
      __typename
      id
      ... on Organization { name employeeCount }
      ... on Employee { name department }
      ... on Project { name status memberCount }
      ... on Release { version deployedAt }
      ... on Metric { value unit timestamp }
    }
  }
`);

export function title({ node }: NodeByIdQuery): string {
  switch (node?.__typename) {
    case undefined:
      return 'nothing';
    case 'Organization':
      return `${node.name}, ${node.employeeCount} people`;
    case 'Employee':
      return `${node.name} of ${node.department}`;
    case 'Project':
      return node.status === 'ARCHIVED' ? `(${node.name})` : `${node.name}, ${node.memberCount} people`;
    case 'Release':
      return `${node.version} since ${node.deployedAt}`;
    case 'Metric':
      return `${node.value} ${node.unit} at ${node.timestamp}`;
  }
}
