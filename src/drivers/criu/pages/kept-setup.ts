import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { StreamSetup } from '../../../port/direct.ts';

/** Stream settings for a process that takes over: paths and figures, no secrets. */

const NAME = 'setup.json';

export async function keepSetup(directory: string, setup: StreamSetup): Promise<void> {
  await writeFile(path.join(directory, NAME), JSON.stringify(setup), { mode: 0o600 });
}

export async function keptSetup(directory: string): Promise<StreamSetup> {
  return JSON.parse(await readFile(path.join(directory, NAME), 'utf8')) as StreamSetup;
}
