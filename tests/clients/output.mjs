// Where the packages lie, for what is generated into target/ and imports some of them.
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
