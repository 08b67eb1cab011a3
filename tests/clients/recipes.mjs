// Usage: recipes.mjs BASE_URL
//
// Takes each file out of docs/frontend.md, compiles it, and runs it against a server, as recipes/run.mjs says.
import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { emptied, tsc } from './output.mjs';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
// The tests of both databases run at the same time.
const output = path('../../target/test-output');
await mkdir(output, { recursive: true });
const folder = await mkdtemp(join(output, 'recipes-'));
await emptied(folder);

const page = await readFile(path('../../docs/frontend.md'), 'utf8');
const files = [...page.matchAll(/^```(?:ts|graphql) (\S+)\n(.*?)^```$/gms)].map(([, name, text]) => ({ name, text }));
for (const { name, text } of files) await writeFile(join(folder, name), text);
await copyFile(path('resume/watch.ts'), join(folder, 'watch.ts'));
await copyFile(path('recipes/run.mjs'), join(folder, 'run.mjs'));
await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
const compilerOptions = { noEmit: false, rootDir: '.', types: ['node'] };
await writeFile(
  join(folder, 'tsconfig.json'),
  JSON.stringify({ extends: path('tsconfig.json'), compilerOptions, include: ['*.ts'] }),
);
const node = (...parameters) => spawnSync(process.execPath, parameters, { stdio: 'inherit', cwd: folder }).status ?? 1;
const status =
  node(tsc, '--pretty', 'false', '-p', folder) || node('--test-reporter=spec', join(folder, 'run.mjs'), process.argv[2]);
// What a failed run made stays to be looked at.
if (status === 0) await rm(folder, { recursive: true });
process.exitCode = status;
