// What graphql-eslint holds schema.graphql to: everything that it recommends for schemas, and the rules of Relay.
import { fileURLToPath } from 'node:url';

import graphql from '@graphql-eslint/eslint-plugin';

/** Kinds of values, by the ends of their names: they lie inside of something, and nobody fetches them by an id. */
const VALUES = ['Aggregate', 'Comparison', 'Connection', 'Edge', 'Error', 'Event', 'Page', 'Payload', 'Stats', 'Summary', 'Value'];

export default [
  {
    files: ['schema.graphql'],
    languageOptions: {
      parser: graphql.parser,
      parserOptions: { graphQLConfig: { schema: fileURLToPath(new URL('../../schema.graphql', import.meta.url)) } },
    },
    plugins: { '@graphql-eslint': graphql },
    rules: {
      ...graphql.configs['flat/schema-recommended'].rules,
      ...graphql.configs['flat/schema-relay'].rules,
      // A type is a node with an `id`, or a value: a new one is either, and says so here when its name does not.
      '@graphql-eslint/strict-id-in-types': [
        'error',
        { exceptions: { suffixes: VALUES, types: ['Accuracy', 'ApdexScore', 'ChangeGap', 'HistogramBucket', 'IngestRefusal', 'IngestStatus', 'LiveGroup', 'LiveWindow', 'MetricBucket', 'MetricGroup', 'MetricLabel', 'MetricTypeInfo', 'PageInfo', 'RejectedMetric', 'SeriesColumns', 'StreamGap', 'Viewer'] } },
      ],
      // Measurements are paged forward only: there are too many to count back from their end.
      '@graphql-eslint/relay-arguments': ['error', { includeBoth: false }],
      // Connections also offer their items as `nodes`, and short rankings without cursors are plain lists.
      '@graphql-eslint/relay-edge-types': [
        'error',
        { withEdgeSuffix: true, shouldImplementNode: true, listTypeCanWrapOnlyEdgeType: false },
      ],
    },
  },
];
