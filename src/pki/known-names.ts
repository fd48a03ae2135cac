import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../errors.ts';
import { hostName } from '../protocol/names.ts';
import { didYouMean } from '../protocol/nearest.ts';
import { latestList } from './fleet-list.ts';

/** Files of one directory that are looked at: more names than a fleet and its people have. */
const MAX_FILES = 100_000;
const record = z.object({ name: hostName });

/**
 * The names that a CA knows: those to which it gave a certificate or a join token, and those of the fleet's list. An
 * earlier build wrote down no certificates, so a name of that time is known only by the list.
 */
function knownNames(caDir: string): Set<string> {
  const list = latestList(caDir)?.list;
  const issued = filesIn(path.join(caDir, 'issued')).flatMap(
    (file) => /^(?:agent|controller|relay|operator|viewer)-(.+)\.json$/.exec(file)?.[1] ?? [],
  );
  const tokens = filesIn(path.join(caDir, 'tokens')).flatMap((file) =>
    nameIn(path.join(caDir, 'tokens', file)),
  );
  const listed = [
    ...(list?.members ?? []).map(({ name }) => name),
    ...(list?.removed ?? []),
    ...(list?.revoked ?? []).flatMap((each) => ('name' in each ? [each.name] : [])),
  ];
  return new Set([...issued, ...tokens, ...listed]);
}

/** GODWIT_NAME_UNKNOWN, with the nearest name, where the CA does not know this one. */
export function needName(caDir: string, name: string): void {
  const names = knownNames(caDir);
  if (names.has(name)) return;
  const near = didYouMean(name, names);
  const rest =
    'The names are in `issued` there. With --unknown it is done all the same: an earlier build wrote down no names.';
  const hint = near === undefined ? rest : `${near} ${rest}`;
  throw godwitError('GODWIT_NAME_UNKNOWN', { name, dir: caDir }, { hint });
}

function filesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).slice(0, MAX_FILES) : [];
}

function nameIn(file: string): string[] {
  if (!file.endsWith('.json')) return [];
  try {
    return [record.parse(JSON.parse(readFileSync(file, 'utf8'))).name];
  } catch {
    // It was used up meanwhile, or it is damaged: it names nobody.
    return [];
  }
}
