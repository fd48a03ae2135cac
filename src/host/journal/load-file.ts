import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { LoadHistory } from '../../migration/load-history.ts';
import { guestName } from '../../protocol/names.ts';
import { loadHour, MAX_LOAD_HOURS } from '../../protocol/public/hosts/guest-load.ts';
import { writeWhole } from '../../system/files/whole-file.ts';

const FILE = 'guest-load.json';
const MAX_BYTES = 32 * 1024 * 1024;
const shape = z.array(z.tuple([guestName, z.array(loadHour).max(MAX_LOAD_HOURS)])).max(10_000);

/** Empty without a file. Throws if the file is damaged. */
export function readLoadHistory(stateDir: string): LoadHistory {
  const file = path.join(stateDir, FILE);
  if (!existsSync(file)) return new Map();
  if (statSync(file).size > MAX_BYTES) throw new Error(`${FILE} is too large`);
  return new Map(shape.parse(JSON.parse(readFileSync(file, 'utf8'))));
}

export function writeLoadHistory(stateDir: string, history: LoadHistory): void {
  writeWhole(path.join(stateDir, FILE), `${JSON.stringify([...history])}\n`);
}
