// Usage: resume.mjs URL,URL 'FILTER_JSON' CURSOR COUNT
//
// Compiles the example in resume/ and runs it: one JSON line for the value of each metric behind CURSOR, until COUNT came.
import { spawn, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { emptied, tsc } from './output.mjs';

const folder = fileURLToPath(new URL('../../target/test-output/resume', import.meta.url));
const project = fileURLToPath(new URL('resume', import.meta.url));
await emptied(folder);
await writeFile(`${folder}/package.json`, '{ "type": "module" }');
const { status, stdout } = spawnSync(process.execPath, [tsc, '--pretty', 'false', '-p', project], { encoding: 'utf8' });
if (status !== 0) {
  console.error(stdout);
  process.exit(1);
}
const example = spawn(process.execPath, [`${folder}/main.js`, ...process.argv.slice(2)], { stdio: 'inherit' });
process.on('exit', () => example.kill());
example.on('exit', (code) => process.exit(code ?? 1));
