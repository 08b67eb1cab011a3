// Recording: a mutation whose answer names what was refused, and the stream that goes on from its cursor.
import { type Environment, commitMutation, graphql, requestSubscription } from 'relay-runtime';

import type { IngestMetricsInput, recordMutation } from '@artifacts/recordMutation.graphql';
import type { recordSubscription } from '@artifacts/recordSubscription.graphql';

const mutation = graphql`
  mutation recordMutation($input: IngestMetricsInput!) {
    ingestMetrics(input: $input) {
      accepted
      cursor
      rejected { index code message }
      userErrors { code field message }
    }
  }
`;

const subscription = graphql`
  subscription recordSubscription($filter: StreamFilter!, $after: StreamCursor) {
    metricStream(filter: $filter, after: $after) {
      cursor
      metrics { id value timestamp project { id name } }
    }
  }
`;

export function record(environment: Environment, input: IngestMetricsInput): Promise<string | null | undefined> {
  return new Promise((resolve, reject) => {
    commitMutation<recordMutation>(environment, {
      mutation,
      variables: { input },
      onError: reject,
      onCompleted: ({ ingestMetrics }) => {
        const [refused] = ingestMetrics.userErrors;
        if (refused) reject(new Error(`${refused.code} ${refused.field?.join('.')}: ${refused.message}`));
        else resolve(ingestMetrics.cursor);
      },
    });
  });
}

export function watch(environment: Environment, projectId: string, onValue: (value: number) => void): () => void {
  const { dispose } = requestSubscription<recordSubscription>(environment, {
    subscription,
    variables: { filter: { projectIds: [projectId] } },
    onNext: (event) => event?.metricStream.metrics.forEach(({ value }) => onValue(value)),
  });
  return dispose;
}

// @ts-expect-error: no such mode
export const wrong: IngestMetricsInput = { projectId: 'x', metrics: [], mode: 'SOME' };
