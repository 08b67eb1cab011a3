import employeesWithOrganization from './EmployeesWithOrganization.graphql?raw';
import ingestMetrics from './IngestMetrics.graphql?raw';
import ingestMetricsVariables from './IngestMetrics.variables.json?raw';
import liveMetrics from './LiveMetrics.graphql?raw';
import organizations from './Organizations.graphql?raw';
import performanceSummary from './PerformanceSummary.graphql?raw';
import slowestEndpoints from './SlowestEndpoints.graphql?raw';

/**
 * The tabs of a first visit; afterwards the browser keeps whatever the visitor made of them.
 * Plain files, so that a test can hold each against the schema.
 */
export const examples = [
  { query: slowestEndpoints },
  { query: organizations },
  { query: employeesWithOrganization },
  { query: performanceSummary },
  { query: liveMetrics },
  { query: ingestMetrics, variables: ingestMetricsVariables },
];
