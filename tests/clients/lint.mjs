// Usage: lint.mjs
//
// graphql-eslint over schema.graphql, by eslint.config.mjs. Prints each finding; exits with 1 when there is one.
import { fileURLToPath } from 'node:url';

import { ESLint } from 'eslint';

const eslint = new ESLint({
  cwd: fileURLToPath(new URL('../..', import.meta.url)),
  overrideConfigFile: fileURLToPath(new URL('eslint.config.mjs', import.meta.url)),
});
const [result] = await eslint.lintFiles('schema.graphql');
for (const { line, column, ruleId, message } of result.messages) {
  console.error(`schema.graphql:${line}:${column} ${ruleId}: ${message}`);
}
const rules = Object.keys((await eslint.calculateConfigForFile('schema.graphql')).rules);
console.log(`${rules.length} rules, ${result.messages.length} findings`);
process.exitCode = result.messages.length === 0 ? 0 : 1;
