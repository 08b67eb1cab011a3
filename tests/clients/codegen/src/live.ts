// Recording and watching with graphql-ws: the cursor of an answer is what a stream goes on from, and nothing else is.
import { print } from 'graphql';
import { createClient } from 'graphql-ws';

import { graphql } from '@generated';
import type {
  IngestMetricsInput,
  IngestMutation,
  WatchSubscription,
  WatchSubscriptionVariables,
} from '@generated/graphql';

export const Ingest = graphql(/* GraphQL */ `
  mutation Ingest($input: IngestMetricsInput!) {
    ingestMetrics(input: $input) {
      accepted
      isDuplicate
      cursor
      rejected { index code message }
      userErrors { code field message }
    }
  }
`);

export const Watch = graphql(/* GraphQL */ `
  subscription Watch($filter: StreamFilter!, $after: StreamCursor) {
    metricStream(filter: $filter, after: $after) { cursor metrics { id type value timestamp } }
  }
`);

const client = createClient({ url: 'ws://localhost/graphql' });

export async function recorded(projectId: string, values: number[]): Promise<MetricStream['cursor'] | null> {
  const metrics = values.map((value) => ({ type: 'CUSTOM', endpoint: 'numbered', value }) as const);
  const input: IngestMetricsInput = { projectId, metrics, mode: 'ATOMIC' };
  for await (const { data } of client.iterate<IngestMutation>({ query: print(Ingest), variables: { input } })) {
    const payload = data?.ingestMetrics;
    if (payload?.userErrors.some(({ code }) => code === 'CONFLICT')) throw new Error('the key was used before');
    return payload?.cursor ?? null;
  }
  return null;
}

export async function watch(projectId: string, after: MetricStream['cursor'] | null): Promise<number> {
  const variables: WatchSubscriptionVariables = { filter: { projectIds: [projectId] }, after };
  let sum = 0;
  for await (const { data } of client.iterate<WatchSubscription>({ query: print(Watch), variables: { ...variables } })) {
    for (const { value } of data?.metricStream.metrics ?? []) sum += value;
    if (data) variables.after = data.metricStream.cursor;
  }
  return sum;
}

type MetricStream = WatchSubscription['metricStream'];

// @ts-expect-error: a stream goes on from a cursor that the server gave
export const guessed: WatchSubscriptionVariables = { filter: {}, after: 'from the start' };
// @ts-expect-error: what is measured has a value
export const nothing: IngestMetricsInput = { projectId: '', metrics: [{ type: 'CUSTOM', endpoint: 'x' }] };
