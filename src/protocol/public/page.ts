import { z } from 'zod';
import { godwitError } from '../../errors.ts';

export const MAX_PER_PAGE = 1000;
const MAX_PAGES = 100;

/** Opaque position in a list. It stays valid when entries are added or removed. */
export const cursor = z
  .string()
  .max(1024)
  .regex(/^[A-Za-z0-9_-]{1,1024}$/, 'a cursor that a page ended with');

export function pageQuery(usual: number) {
  return {
    limit: z.coerce.number().int().min(1).max(MAX_PER_PAGE).default(usual),
    cursor: cursor.optional(),
  };
}

export interface PageAsked {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface Page<T> {
  readonly items: T[];
  readonly next?: string;
}

type Key = readonly [string, ...string[]];

/**
 * One page of a list, ordered by unique keys. Entries that exist throughout come exactly once. GODWIT_PROTOCOL_INVALID
 * for another list's cursor.
 */
export function pageOf<T>(
  all: readonly T[],
  keyOf: (item: T) => Key,
  { limit, cursor: after }: PageAsked,
  order: 'first to last' | 'last to first' = 'first to last',
): Page<T> {
  const sign = order === 'first to last' ? 1 : -1;
  const begin = after === undefined ? undefined : keyIn(after);
  const rest = all
    .map((item) => ({ item, key: keyOf(item) }))
    .filter(({ key }) => begin === undefined || sign * compared(key, begin) > 0)
    .toSorted((left, right) => sign * compared(left.key, right.key));
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  const items = page.map(({ item }) => item);
  return last === undefined || rest.length <= limit
    ? { items }
    : { items, next: cursorAt(last.key) };
}

/** All pages of a list. GODWIT_TOO_LARGE if it does not end, GODWIT_PROTOCOL_INVALID above `most`. */
export async function everyPage<T>(
  ask: (after: string | undefined) => Promise<Page<T>>,
  most = MAX_PAGES * MAX_PER_PAGE,
): Promise<T[]> {
  const all: T[] = [];
  let after: string | undefined;
  for (let count = 0; count < MAX_PAGES; count += 1) {
    const { items, next } = await ask(after);
    if (all.length + items.length > most) throw tooMany(most);
    for (const item of items) all.push(item);
    if (next === undefined) return all;
    after = next;
  }
  throw godwitError('GODWIT_TOO_LARGE', { what: 'a list', limit: `${MAX_PAGES} pages` });
}

function tooMany(most: number): Error {
  const facts = { peer: 'who was asked', expected: `a list of ${most} at most`, what: 'more' };
  return godwitError('GODWIT_PROTOCOL_INVALID', facts);
}

export function cursorAt(key: Key): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

const keys = z.tuple([z.string()], z.string());

/** GODWIT_PROTOCOL_INVALID for anything but a cursor. */
export function keyIn(text: string): Key {
  try {
    return keys.parse(JSON.parse(Buffer.from(text, 'base64url').toString()));
  } catch (cause) {
    throw noCursor(cause);
  }
}

/** The key of a list by time: ms since 1970, and an id. GODWIT_PROTOCOL_INVALID as `keyIn`. */
export function timeKeyIn(text: string): { readonly atMs: number; readonly id: string } {
  const [at, id = ''] = keyIn(text);
  const atMs = Number(at);
  if (/^\d+$/.test(at) && Number.isSafeInteger(atMs)) return { atMs, id };
  throw noCursor();
}

function noCursor(cause?: unknown): Error {
  const facts = { peer: 'who asks', expected: 'a cursor that a page ended with' };
  return godwitError('GODWIT_PROTOCOL_INVALID', { ...facts, what: 'something else' }, { cause });
}

function compared(left: Key, right: Key): number {
  for (let at = 0; at < Math.max(left.length, right.length); at += 1) {
    const [one = '', other = ''] = [left[at], right[at]];
    if (one !== other) return one < other ? -1 : 1;
  }
  return 0;
}
