import fc from 'fast-check';
import type { FarContents, NearContents } from '../../../src/wire/codec/contents.ts';
import { fill, type Decoder, type Pending } from '../../../src/wire/codec/decoder.ts';
import { bodyOf, type Batch } from '../../../src/wire/codec/batch.ts';
import type { Encoder } from '../../../src/wire/codec/encoder.ts';
import { makeHash64 } from '../../../src/wire/codec/hash.ts';
import { PAGE_BYTES, type Item } from '../../../src/wire/codec/item.ts';
import { ID_BYTES } from '../../../src/wire/codec/settings.ts';

export const hash64 = await makeHash64(7n);

/** Small, so that windows wrap and batches fill within a few items. */
export const SMALL = { windowPages: 5, batchBytes: 16_384, batchItems: 6 };

/** A page that `seed` decides: 0 is the zero page. */
export function pageOf(seed: number): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  for (let at = 0; seed > 0 && at < PAGE_BYTES; at += 4) {
    page.writeInt32LE(Math.imul(seed * 7919 + at, 0x9e3779b1), at);
  }
  // Some look like code.
  for (let at = 0; seed % 4 === 3 && at < PAGE_BYTES; at += 16) {
    page[at] = 0xe8;
    page.writeInt32LE(seed * 64 - at, at + 1);
  }
  return page;
}

/** Items that meet each other: few places, few contents, small changes. */
export const items = fc.array(
  fc.oneof(
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40_000 }).map(bytesItem) },
    {
      weight: 8,
      arbitrary: fc
        .record({
          block: fc.constantFrom(0, 0, 0, 1, 4095),
          page: fc.oneof(fc.nat(6), fc.constantFrom(2 ** 30, 2 ** 39)),
          seed: fc.nat(8),
          change: fc.option(fc.record({ at: fc.nat(PAGE_BYTES - 9), to: fc.nat(255) })),
        })
        .map(({ block, page, seed, change }): Item => {
          const bytes = pageOf(seed);
          if (change !== null) bytes.fill(change.to, change.at, change.at + 8);
          return { kind: 'page', block, offset: page * PAGE_BYTES, bytes };
        }),
    },
  ),
  { maxLength: 60 },
);

function bytesItem(bytes: Uint8Array): Item {
  return { kind: 'bytes', bytes };
}

/** Items with bytes that follow each other joined, as they are given back in other pieces. */
export function joined(all: readonly Item[]): unknown[] {
  const out: ({ kind: 'page'; at: string; hex: string } | { kind: 'bytes'; hex: string })[] = [];
  for (const item of all) {
    const hex = Buffer.from(item.bytes).toString('latin1');
    const last = out.at(-1);
    if (item.kind === 'page') {
      out.push({ kind: 'page', at: `${item.block}:${item.offset}`, hex });
    } else if (last?.kind === 'bytes') {
      last.hex += hex;
    } else if (hex.length > 0) {
      out.push({ kind: 'bytes', hex });
    }
  }
  return out;
}

export function copyOf(item: Item): Item {
  return { ...item, bytes: Buffer.from(item.bytes) };
}

export function encodeAll(encoder: Encoder, all: readonly Item[]): Batch[] {
  return [...all.flatMap((item) => [...encoder.add(item)]), ...encoder.flush()];
}

export function decodeAll(decoder: Decoder, batches: readonly Batch[]): Item[] {
  const out: Item[] = [];
  for (const batch of batches) {
    take(decoder, decoder.open(bodyOf(batch), batch), (item) => out.push(copyOf(item)));
  }
  return out;
}

/** Gives each item; returns the number to acknowledge. */
export function take(decoder: Decoder, pending: Pending, give: (item: Item) => void): number {
  const items = decoder.items(pending);
  for (;;) {
    const next = items.next();
    if (next.done) return next.value;
    give(next.value);
  }
}

/** Fills what is missing from the near side, as the session does. */
export function fillFrom(encoder: Encoder, pending: Pending): void {
  for (const number of pending.missing) {
    const content = encoder.request(number) ? encoder.content(number) : undefined;
    if (content === undefined || !fill(pending, number, content)) throw new Error('not to be had');
  }
}

/** A side's contents in memory, under a name that collides only where bytes do. */
export class Shelf implements NearContents, FarContents {
  readonly pages = new Map<string, Buffer>();
  readonly bases = new Map<string, Buffer>();
  far: Shelf | undefined;

  nameOf(page: Uint8Array): Buffer {
    const name = Buffer.alloc(ID_BYTES);
    name.writeBigUInt64LE(hash64(page));
    return name;
  }
  farHas(name: Uint8Array): boolean {
    return this.far?.pages.has(Buffer.from(name).toString('hex')) ?? false;
  }
  baseOf(block: number, page: number): Uint8Array | undefined {
    return this.bases.get(`${block}:${page}`);
  }
  read(name: Uint8Array): Uint8Array | undefined {
    return this.pages.get(Buffer.from(name).toString('hex'));
  }
  left(page: Uint8Array): void {
    this.arrived(page);
  }
  missed(): void {}
  arrived(page: Uint8Array): Buffer {
    const name = this.nameOf(page);
    this.pages.set(name.toString('hex'), Buffer.from(page));
    return name;
  }
  placed(block: number, page: number, name: Uint8Array): void {
    this.bases.set(`${block}:${page}`, Buffer.from(name));
  }
}
