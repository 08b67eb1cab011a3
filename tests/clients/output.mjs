// What programs that generate code into target/ have in common: folders that find the packages, and the compiler.
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Empties `folder`, and lets what will be written there find the packages of this folder. */
export async function emptied(folder) {
  const [packages] = import.meta.resolve('typescript/package.json').split('typescript/');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await symlink(fileURLToPath(packages), join(folder, 'node_modules'));
}

/** The TypeScript compiler, to be run by Node. */
export const tsc = fileURLToPath(new URL('bin/tsc', import.meta.resolve('typescript/package.json')));
