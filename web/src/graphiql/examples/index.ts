import employeesWithOrganization from './EmployeesWithOrganization.graphql?raw';
import ingestMetrics from './IngestMetrics.graphql?raw';
import ingestMetricsVariables from './IngestMetrics.variables.json?raw';
import liveMetrics from './LiveMetrics.graphql?raw';
import liveWindow from './LiveWindow.graphql?raw';
import liveWindowVariables from './LiveWindow.variables.json?raw';
import organizations from './Organizations.graphql?raw';
import performanceSummary from './PerformanceSummary.graphql?raw';
import slowestEndpoints from './SlowestEndpoints.graphql?raw';

/** Every answer shows what it cost: the SQL in `extensions.db`, the reckoned cost in `extensions.cost`. */
export const explain = JSON.stringify({ 'perfgraph-explain': '1' }, null, 2);

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
  { query: liveWindow, variables: liveWindowVariables },
  { query: ingestMetrics, variables: ingestMetricsVariables },
].map((example) => ({ ...example, headers: explain }));
