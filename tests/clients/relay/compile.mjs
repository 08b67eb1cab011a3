// Usage: compile.mjs
//
// The Relay compiler over the documents in relay/src and schema.graphql, by relay.config.json, into
// target/test-output/relay. Exits as the compiler does.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import compiler from 'relay-compiler';

import { emptied } from '../output.mjs';

await emptied(fileURLToPath(new URL('../../../target/test-output/relay', import.meta.url)));
// The compiler takes the paths in its settings from where it is started.
const cwd = fileURLToPath(new URL('.', import.meta.url));
const { status, error } = spawnSync(compiler, ['relay.config.json'], { cwd, stdio: 'inherit' });
if (error) throw error;
process.exitCode = status ?? 1;
