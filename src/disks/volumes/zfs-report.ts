import type { Volume } from './store.ts';

/**
 * Output of `zfs get -H -p -o name,property,value` for a data set and its direct children: one line per locally set
 * property. Pure; undefined for anything else.
 */

const MAX_ROWS = 65_536;
/** User property with the migration that makes a volume. */
const MARK = 'godwit:migration';

export const PROPERTIES = `type,volsize,available,${MARK}`;

export interface ZfsReport {
  /** Space of the data set; undefined: it cannot have volumes. */
  readonly freeBytes: number | undefined;
  readonly volumes: readonly Volume[];
  /** Names below it that are not volumes. */
  readonly others: readonly string[];
}

export function parseProperties(text: string, dataset: string): ZfsReport | undefined {
  const found = new Map<string, Map<string, string>>();
  const lines = text.split('\n').filter((line) => line !== '');
  if (lines.length > MAX_ROWS) return undefined;
  for (const line of lines) {
    const [name = '', property = '', value, more] = line.split('\t');
    if (name === '' || value === undefined || more !== undefined) return undefined;
    const own = found.get(name) ?? new Map<string, string>();
    found.set(name, own);
    // The property does not apply.
    if (value !== '-') own.set(property, value);
  }
  const top = found.get(dataset);
  if (top === undefined) return undefined;
  const isFilesystem = top.get('type') === 'filesystem';
  const freeBytes = isFilesystem ? wholeOf(top.get('available')) : undefined;
  if (isFilesystem && freeBytes === undefined) return undefined;
  const volumes: Volume[] = [];
  const others: string[] = [];
  for (const [full, own] of found) {
    if (!full.startsWith(`${dataset}/`)) continue;
    const name = full.slice(dataset.length + 1);
    if (own.get('type') !== 'volume') {
      others.push(name);
      continue;
    }
    const bytes = wholeOf(own.get('volsize'));
    if (bytes === undefined) return undefined;
    volumes.push({ name, bytes, mark: own.get(MARK) });
  }
  return { freeBytes, volumes, others };
}

export function markOf(migration: string): string {
  return `${MARK}=${migration}`;
}

/** Property name, for its removal. */
export const MARK_PROPERTY = MARK;

function wholeOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
