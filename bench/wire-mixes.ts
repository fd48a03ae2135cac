import { randomBytes } from 'node:crypto';
import { openSync, readdirSync, readSync, closeSync, lstatSync } from 'node:fs';
import path from 'node:path';

const PAGE_BYTES = 4096;

/** Memory of a kind, as pages in a row. */
export interface Mix {
  readonly name: string;
  readonly memory: Buffer;
}

/** A seeded generator, so that each run compresses the same bytes. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
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
