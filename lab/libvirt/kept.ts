import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';
import type { Lab } from '../state.ts';

/** Files that hosts see as this machine has them: the lab, the images of guests, and Godwit itself. */
export function keptDirectories(lab: Lab): string[] {
  const source = fileURLToPath(new URL('../..', import.meta.url));
  const { dir, managerPackages = dir } = lab;
  const all = [dir, cacheDirectory(), source, path.dirname(process.execPath), managerPackages];
  return all
    .map((each) => path.resolve(each))
    .filter((each) => /^\/(var|run)\//.test(each) && existsSync(each));
}
