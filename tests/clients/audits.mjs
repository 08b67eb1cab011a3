// Usage: audits.mjs BASE_URL
//
// The audits of npm graphql-http, which say whether a server speaks GraphQL over HTTP. One line for each that is not
// passed; exits with 1 when one of them is not excepted here.
import { auditServer } from 'graphql-http';

/** Audits that the server fails on purpose: id -> why. A MUST has no place here. */
const EXCEPTIONS = new Map([]);
/** As of graphql-http 1.23: fewer would mean that some are no longer asked. */
const COUNT = 61;

const results = await auditServer({ url: `${process.argv[2]}/graphql` });
const problems = [];
for (const { id, name, status, reason, response } of results) {
  const isExcepted = EXCEPTIONS.has(id);
  if (status === 'ok' && isExcepted) problems.push(`${id} ${name}\n  is excepted here, but passes`);
  if (status !== 'ok' && (status === 'error' || !isExcepted)) {
    const body = await response.text().catch((error) => `(${error.message})`);
    problems.push(`${id} ${name}\n  ${reason}: ${response.status} ${response.headers.get('content-type')} ${body}`);
  }
}
if (results.length < COUNT) problems.push(`${results.length} audits were asked, not ${COUNT}`);
for (const problem of problems) console.error(problem);
console.log(`${results.length} audits, ${problems.length} problems, ${EXCEPTIONS.size} exceptions`);
process.exitCode = problems.length === 0 ? 0 : 1;
