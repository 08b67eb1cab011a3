// Figures with urql: scalars that say their unit, enumerations, an input of which exactly one field is given.
import { Client, fetchExchange } from '@urql/core';

import { graphql } from '@generated';
import type { MetricFilter, Statistic } from '@generated/graphql';

const client = new Client({ url: '/graphql', exchanges: [fetchExchange], preferGetMethod: false });

export const Figures = graphql(/* GraphQL */ `
  query Figures($filter: MetricFilter!, $rankBy: Statistic!) {
    metricStats(filter: $filter) {
      count
      average
      percentiles(ps: [50, 99]) { p value lower upper }
      accuracy { isExact relativeErrorBound asOf source }
    }
    slowestEndpoints(filter: $filter, rankBy: $rankBy, first: 5) {
      endpoint
      value
      statusCode
      timestamp
      project { id name }
      owners(first: 3) { id name }
    }
    performanceSummary(type: API_RESPONSE) { type count average }
  }
`);

export async function report(rankBy: Statistic): Promise<string[]> {
  const filter: MetricFilter = { time: { last: 'PT24H' }, types: ['API_RESPONSE', 'DATABASE'] };
  const { data, error } = await client.query(Figures, { filter, rankBy });
  if (!data) throw error ?? new Error('no data');
  const { count, average, accuracy } = data.metricStats;
  const exact: boolean = accuracy.isExact;
  const head = `${count * 2} ${average?.toFixed(1) ?? '-'} ${exact} ${new Date(accuracy.asOf).getTime()}`;
  const rows = data.slowestEndpoints.map(({ endpoint, value, statusCode, timestamp, owners }) => {
    const when = timestamp == null ? 'once' : new Date(timestamp).toISOString();
    return `${endpoint} ${value.toFixed(0)} ${statusCode ?? ''} ${when} ${owners.map(({ name }) => name).join()}`;
  });
  return [head, ...rows];
}

// @ts-expect-error: one of `last` and `between`, not both
export const both: MetricFilter = { time: { last: 'PT1H', between: { start: '', end: '' } } };
// @ts-expect-error: no such type
export const unknown: MetricFilter = { time: { last: 'PT1H' }, types: ['LATENCY'] };
