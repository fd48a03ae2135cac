import { randomBytes } from 'node:crypto';
import { openSync, readdirSync, readSync, closeSync, lstatSync } from 'node:fs';
import path from 'node:path';
import { processHeap } from './wire-heap.ts';
import { seeded } from './wire-seeded.ts';

const PAGE_BYTES = 4096;

/** Memory of a kind, as pages in a row. */
export interface Mix {
  readonly name: string;
  readonly memory: Buffer;
}

/** This machine's own programs and libraries, as a page cache holds them: whole pages of files, in order. */
export function pageCache(bytes: number): Buffer {
  const memory = Buffer.alloc(bytes);
  let at = 0;
  const folders = ['/usr/bin', '/usr/lib', '/usr/share'];
  for (let folder = folders.shift(); folder !== undefined && at < bytes; folder = folders.shift()) {
    for (const name of readdirSync(folder).toSorted()) {
      const file = path.join(folder, name);
      const stat = lstatSync(file, { throwIfNoEntry: false });
      if (stat?.isDirectory()) folders.push(file);
      if (!stat?.isFile() || stat.size < PAGE_BYTES || at >= bytes) continue;
      const descriptor = openSync(file, 'r');
      const most = Math.min(bytes - at, Math.floor(stat.size / PAGE_BYTES) * PAGE_BYTES, 8 << 20);
      at += readSync(descriptor, memory, at, most, 0);
      closeSync(descriptor);
    }
  }
  return memory;
}

/** Words of a small vocabulary, some often and most seldom. */
export function text(bytes: number, seed = 1): Buffer {
  const random = seeded(seed);
  const letters = 'etaoinshrdlucmfw';
  const words = Array.from({ length: 2000 }, () =>
    Array.from(
      { length: 2 + Math.floor(random() * 8) },
      () => letters[Math.floor(random() * 16)],
    ).join(''),
  );
  const memory = Buffer.alloc(bytes, 0x20);
  let at = 0;
  while (at < bytes) {
    at += memory.write(words[Math.floor(random() ** 3 * words.length)] ?? '', at, 'latin1') + 1;
  }
  return memory;
}

/** Objects: pointers into one region, small numbers, zeros, short strings. */
export function heap(bytes: number, seed = 2): Buffer {
  const random = seeded(seed);
  const memory = Buffer.alloc(bytes);
  for (let at = 0; at + 8 <= bytes; at += 8) {
    const kind = random();
    if (kind < 0.35) {
      memory.writeUInt32LE((random() * 2 ** 26) & ~0xf, at);
      memory.writeUInt32LE(0x7f3a, at + 4);
    } else if (kind < 0.6) {
      memory.writeUInt32LE(random() * 1000, at);
    } else if (kind < 0.75) {
      memory.write(String(Math.floor(random() * 1e8)), at, 'latin1');
    }
  }
  return memory;
}

const TABLE_PAGE = 8192;
const TABLE_HEAD = 24;
const ROW_HEAD = 24;

/**
 * A table as a database keeps it in its buffers: pages of 8 KiB with a head, pointers to rows from the front and rows
 * from the back; a row has a head of its own, a counting key, a time, an amount, a state, a name and some remark.
 */
export function database(bytes: number, seed = 3): Buffer {
  const random = seeded(seed);
  const remarks = text(65_536, seed + 1000);
  const states = ['new', 'paid', 'packed', 'sent', 'returned'];
  const memory = Buffer.alloc(bytes);
  let key = Math.floor(random() * 1e6);
  let time = 1.7e9 + Math.floor(random() * 1e7);
  for (let page = 0; page + TABLE_PAGE <= bytes; page += TABLE_PAGE) {
    memory.writeUInt32LE(key * 97, page + 4);
    let pointer = page + TABLE_HEAD;
    let end = page + TABLE_PAGE;
    for (;;) {
      const remark = Math.floor(random() ** 2 * 120);
      const from = Math.floor(random() * 65_000);
      const name = `customer-${Math.floor(random() * 50_000)}`;
      const row = ROW_HEAD + 24 + name.length + remark;
      const start = (end - row) & ~7;
      if (start < pointer + 4) break;
      key += 1;
      time += Math.floor(random() * 30);
      memory.writeUInt16LE(start - page, pointer);
      memory.writeUInt16LE(row * 2, pointer + 2);
      memory.writeUInt32LE(700_000 + (key >>> 6), start);
      memory.writeUInt32LE(page / TABLE_PAGE, start + 12);
      memory.writeUInt16LE((pointer - page - TABLE_HEAD) / 4 + 1, start + 16);
      memory.writeUInt32LE(0x0902_0006, start + 18);
      memory.writeUInt32LE(key, start + ROW_HEAD);
      memory.writeUInt32LE(time, start + ROW_HEAD + 4);
      memory.writeUInt32LE(Math.floor(random() ** 2 * 50_000), start + ROW_HEAD + 8);
      memory.write(states[Math.floor(random() * 5)] ?? '', start + ROW_HEAD + 12, 'latin1');
      memory.write(name, start + ROW_HEAD + 24, 'latin1');
      remarks.copy(memory, start + ROW_HEAD + 24 + name.length, from, from + remark);
      pointer += 4;
      end = start;
    }
  }
  return memory;
}

/** A service's log: what most of the text is that a guest writes itself. */
export function log(bytes: number, seed = 4): Buffer {
  const random = seeded(seed);
  const below = (most: number): number => Math.floor(random() * most);
  const methods = ['GET', 'GET', 'POST', 'PUT'];
  const answers = [200, 200, 200, 201, 304, 404, 500];
  const memory = Buffer.alloc(bytes, 0x0a);
  let time = 1.7e12 + below(1e10);
  for (let at = 0; at < bytes;) {
    time += below(900);
    const request = `${below(2 ** 32).toString(16)}${below(2 ** 32).toString(16)}`;
    const line = `${new Date(time).toISOString()} INFO [worker-${below(8)}] request id=${request} method=${methods[below(4)]} path=/api/v1/orders/${below(1e6)} status=${answers[below(7)]} ms=${below(400)} user=${below(50_000)}\n`;
    at += memory.write(line, at, 'latin1');
  }
  return memory;
}

/**
 * The mix of a guest of a Debian image with a database, by shares. Half of the pages of a guest that are not zeros are
 * its image's (52 % in the guests that were captured), and they are two thirds of the mix, since all that a guest holds
 * beside the mix (kernel, random bytes, what it dirties: bench/README.md) is its own, as the rest of the mix is.
 */
export const SHARES = { image: 0.67, database: 0.12, log: 0.08, heap: 0.13 } as const;

/** Of each kind so many bytes, a multiple of `unit`. */
export function sharesOf(bytes: number, unit: number): Record<keyof typeof SHARES, number> {
  const part = (share: number): number => Math.floor((bytes * share) / unit) * unit;
  return {
    image: part(SHARES.image),
    database: part(SHARES.database),
    log: part(SHARES.log),
    heap: part(SHARES.heap),
  };
}

/** What is a guest's own, of each kind. */
export function ownParts(bytes: number, unit: number, number: number): Record<string, Buffer> {
  const shares = sharesOf(bytes, unit);
  return {
    database: database(shares.database, 90 + number),
    log: log(shares.log, 10 + number),
    heap: processHeap(shares.heap, 50 + number),
  };
}

/** The shape of the guests that were captured: a third of page cache, the rest of the others. */
export function guest(bytes: number): Buffer {
  const part = (share: number): number => Math.floor((bytes * share) / PAGE_BYTES) * PAGE_BYTES;
  const parts = [
    pageCache(part(0.3)),
    text(part(0.2)),
    heap(part(0.2)),
    randomBytes(part(0.05)),
    Buffer.alloc(part(0.15)),
  ];
  const used = parts.reduce((sum, { length }) => sum + length, 0);
  // What a second process has of the same libraries.
  parts.push(Buffer.from(parts[0]?.subarray(0, bytes - used) ?? Buffer.alloc(0)));
  return Buffer.concat(parts);
}

export function mixes(bytes: number): Mix[] {
  return [
    { name: 'zeros', memory: Buffer.alloc(bytes) },
    { name: 'text', memory: text(bytes) },
    { name: 'heap', memory: heap(bytes) },
    { name: 'random', memory: randomBytes(bytes) },
    { name: 'page cache', memory: pageCache(bytes) },
    { name: 'guest', memory: guest(bytes) },
  ];
}
