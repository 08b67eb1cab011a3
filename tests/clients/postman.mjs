// Usage: postman.mjs BASE_URL
//
// Runs every request of the Postman collection, in order, with newman. Prints {"requests","assertions"} on stdout and
// each failure on stderr; exits with 1 when there is one, or when a request asserts nothing.
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import newman from 'newman';

const path = (name) => fileURLToPath(new URL(`../../postman/${name}`, import.meta.url));
const { run } = await promisify(newman.run)({
  collection: path('perfgraph.postman_collection.json'),
  environment: path('local.postman_environment.json'),
  envVar: [{ key: 'baseUrl', value: process.argv[2] }],
  timeoutRequest: 10_000,
});

const problems = run.failures.map(({ source, parent, error, at, cursor }) => {
  const { response } = run.executions.find((execution) => execution.cursor.ref === cursor.ref) ?? {};
  return `${parent?.name} / ${source?.name}, ${at}: ${error.name}: ${error.message}\n  ${response?.text().slice(0, 500)}`;
});
for (const { item, assertions } of run.executions) {
  const own = item.events.find((event) => event.listen === 'test', null)?.script.exec.join('\n') ?? '';
  if (!own.includes('pm.test(') || !assertions?.length) problems.push(`${item.name}: asserts nothing`);
}
for (const problem of problems) console.error(problem);
console.log(JSON.stringify({ requests: run.stats.requests.total, assertions: run.stats.assertions.total }));
process.exitCode = problems.length === 0 ? 0 : 1;
