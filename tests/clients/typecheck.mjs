// Usage: typecheck.mjs PROJECT
//
// `tsc` over a project of this folder (its tsconfig.json), as strict as tsconfig.json here says. Exits as tsc does.
import { spawnSync } from 'node:child_process';

import { tsc } from './output.mjs';

const { status } = spawnSync(process.execPath, [tsc, '--pretty', 'false', '-p', process.argv[2]], { stdio: 'inherit' });
process.exitCode = status ?? 1;
