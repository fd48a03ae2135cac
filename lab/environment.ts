import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';
import type { Lab } from './state.ts';

/** Some distributions leave out of a user's PATH the folders where `ip` and `tc` are. */
export function systemEnvironment(): NodeJS.ProcessEnv {
  const found = process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin';
  return { ...process.env, PATH: `${found}:/usr/sbin:/sbin` };
}

/** Those of these programs, by name or by path, that are not to be found. */
export async function missingPrograms(names: readonly string[]): Promise<string[]> {
  const there = await Promise.all(names.map(isProgram));
  return names.filter((_name, index) => there[index] !== true);
}

async function isProgram(name: string): Promise<boolean> {
  const { PATH = '' } = systemEnvironment();
  const found = await Promise.all(
    PATH.split(':').map((directory) =>
      access(path.resolve(directory, name), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}

/** What every process of a lab carries, so that it can be recognised whatever becomes of its namespace. */
export function labEnvironment(lab: Pick<Lab, 'dir'>): NodeJS.ProcessEnv {
  return { ...systemEnvironment(), GODWIT_LAB_HOME: lab.dir };
}
