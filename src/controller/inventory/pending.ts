import type { GuestInfo } from '../../protocol/public/hosts/host.ts';
import type { GuestRow } from '../store/tables.ts';

/** Identifies a guest on its host, where two may share a name. */
export function guestKey({ name, uuid = '' }: { name: string; uuid?: string | undefined }): string {
  return `${name} ${uuid}`;
}

export function nameIn(key: string): { name: string; uuid: string } {
  const [name = '', uuid = ''] = key.split(' ', 2);
  return { name, uuid };
}

export function uuidIn(key: string): { uuid?: string } {
  const { uuid } = nameIn(key);
  return uuid === '' ? {} : { uuid };
}

export function keysOfName(keys: Iterable<string>, name: string): string[] {
  return [...keys].filter((each) => each.startsWith(`${name} `));
}

export type NewGuest = Omit<GuestRow, 'epoch' | 'changed_at'>;

export function guestRowOf(
  host: string,
  guest: GuestInfo,
  info: string = JSON.stringify(guest),
): NewGuest {
  const { name, uuid = '', state, memoryBytes, vcpus, driver } = guest;
  return {
    host,
    name,
    uuid,
    state,
    driver,
    memory_bytes: memoryBytes ?? null,
    vcpus: vcpus ?? null,
    info,
  };
}

/** Unwritten changes of one host. `replace`: the full list of guests, instead of all rows. */
export interface Pending {
  readonly row: boolean;
  readonly replace: readonly NewGuest[] | undefined;
  readonly upserts: ReadonlyMap<string, NewGuest>;
  readonly gone: ReadonlyMap<string, { readonly name: string; readonly uuid: string }>;
}

export const NOTHING: Pending = {
  row: false,
  replace: undefined,
  upserts: new Map(),
  gone: new Map(),
};

/** Limit per host while the database does not answer; more than all of its guests. */
export const MAX_PENDING_BYTES = 32 * 1024 * 1024;
/** Row size without its JSON; also the size of a removal. */
const ROW_BYTES = 512;

export function bytesOf({ replace = [], upserts, gone }: Pending): number {
  const rows = [...replace, ...upserts.values()];
  return rows.reduce((sum, { info }) => sum + info.length + ROW_BYTES, gone.size * ROW_BYTES);
}

export function merged(earlier: Pending, later: Pending): Pending {
  const row = earlier.row || later.row;
  if (later.replace !== undefined) return { ...later, row };
  const upserts = new Map([...earlier.upserts, ...later.upserts]);
  const gone = new Map([...earlier.gone, ...later.gone]);
  for (const key of later.gone.keys()) upserts.delete(key);
  for (const key of later.upserts.keys()) gone.delete(key);
  return { row, replace: earlier.replace, upserts, gone };
}

/** 53-bit hash to detect changed texts (cyrb53). */
export function markOf(text: string): number {
  let [one, two] = [0xdeadbeef, 0x41c6ce57];
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    one = Math.imul(one ^ code, 2_654_435_761);
    two = Math.imul(two ^ code, 1_597_334_677);
  }
  one = Math.imul(one ^ (one >>> 16), 2_246_822_507) ^ Math.imul(two ^ (two >>> 13), 3_266_489_909);
  two = Math.imul(two ^ (two >>> 16), 2_246_822_507) ^ Math.imul(one ^ (one >>> 13), 3_266_489_909);
  return 4_294_967_296 * (2_097_151 & two) + (one >>> 0);
}
