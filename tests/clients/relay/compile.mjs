// Usage: compile.mjs
//
// The Relay compiler over the documents in relay/src and schema.graphql, by relay.config.json, into
// target/test-output/relay; and what it makes as modules for Node, into relay-modules beside it, for live.mjs.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import compiler from 'relay-compiler';

import { emptied, tsc } from '../output.mjs';

const output = (name) => fileURLToPath(new URL(`../../../target/test-output/${name}`, import.meta.url));
// The compiler takes the paths in its settings from where it is started.
const cwd = fileURLToPath(new URL('.', import.meta.url));

function run(program, ...given) {
  const { status, error } = spawnSync(program, given, { cwd, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

await emptied(output('relay'));
run(compiler, 'relay.config.json');
await emptied(output('relay-modules'));
run(process.execPath, tsc, '-p', 'tsconfig.modules.json');
