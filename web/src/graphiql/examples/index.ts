import aggregates from './Aggregates.graphql?raw';
import indexes from './Indexes.graphql?raw';
import ingest from './Ingest.graphql?raw';
import ingestVariables from './Ingest.variables.json?raw';
import liveMetrics from './LiveMetrics.graphql?raw';
import liveWindow from './LiveWindow.graphql?raw';
import liveWindowVariables from './LiveWindow.variables.json?raw';
import nPlusOne from './NPlusOne.graphql?raw';
import releases from './Releases.graphql?raw';
import releasesVariables from './Releases.variables.json?raw';
import sharing from './Sharing.graphql?raw';
import slowestEndpoints from './SlowestEndpoints.graphql?raw';

/** Every answer shows what it cost: the SQL in `extensions.db`, the reckoned cost in `extensions.cost`. */
export const explain = JSON.stringify({ 'perfgraph-explain': '1' }, null, 2);

/**
 * The tabs of a first visit: no statement per row, indexes, aggregates, shared statements, live data. Plain files, so that a
 * test can hold each against the schema. `<name>` in variables stands for an id of `ids.ts`.
 */
export const examples: { query: string; variables?: string }[] = [
  { query: nPlusOne },
  { query: indexes },
  { query: aggregates },
  { query: slowestEndpoints },
  { query: releases, variables: releasesVariables },
  { query: sharing },
  { query: liveMetrics },
  { query: liveWindow, variables: liveWindowVariables },
  { query: ingest, variables: ingestVariables },
];
