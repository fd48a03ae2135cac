import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const BUILD_MS = 900_000;

/** The package of this tree, built into a folder. GODWIT_DEB names one that was built already: that is taken instead. */
export function builtDeb(folder: string): string {
  const given = process.env['GODWIT_DEB'];
  if (given !== undefined) return given;
  execFileSync(process.execPath, ['tools/package.ts', folder], { cwd: ROOT, timeout: BUILD_MS });
  const name = readdirSync(folder).find((file) => file.endsWith('.deb'));
  if (name === undefined) throw new Error(`no package was built in ${folder}`);
  return path.join(folder, name);
}
