import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, renameSync } from 'node:fs';
import { placeOf } from '../codec/item.ts';
import { ID_BYTES } from '../codec/settings.ts';
import { writeAll } from './segment.ts';

/** 24 bytes each: 24 MB for a guest of 4 GiB. A larger guest keeps the latest places. */
const PLACE_CELLS = 2 ** 20;
const DIGEST_BYTES = 32;
const KEY_BYTES = 8;
const MIN_CELLS = 1024;
/** Files are processed in pieces of this many cells, so that a large table is not in memory twice. */
const PIECE_CELLS = 32_768;

/**
 * Content name of each place of a guest at its last full encoding; equal on both sides, which set the names in
 * the same order. They are kept after the migration, so that unchanged pages of a returning guest can refer to
 * them. An unused cell costs no memory: the kernel allocates a page of an array at its first write.
 */
export class Places {
  readonly #cells: number;
  /** Place + 1; 0 marks an empty cell. */
  readonly #keys: Float64Array;
  readonly #names: Buffer;

  private constructor(cells: number) {
    this.#cells = cells;
    this.#keys = new Float64Array(cells);
    this.#names = Buffer.alloc(cells * ID_BYTES);
  }

  /** `cells`: a power of two, equal on the far side. */
  static empty(cells = PLACE_CELLS): Places {
    return new Places(cells);
  }

  static load(file: string, cells = PLACE_CELLS): Places | undefined {
    const places = Places.empty(cells);
    return places.#read(file) === undefined ? undefined : places;
  }

  get(block: number, page: number): Buffer | undefined {
    const place = placeOf(block, page);
    const cell = this.#cell(place);
    if (this.#keys[cell] !== place + 1) return undefined;
    return this.#names.subarray(cell * ID_BYTES, (cell + 1) * ID_BYTES);
  }

  set(block: number, page: number, name: Uint8Array): void {
    const place = placeOf(block, page);
    const cell = this.#cell(place);
    this.#keys[cell] = place + 1;
    this.#names.set(name, cell * ID_BYTES);
  }

  /** Equal on both sides exactly if their places are equal. */
  digest(): string {
    const digest = createHash('sha256');
    for (const piece of this.#pieces()) digest.update(piece);
    return digest.digest('hex');
  }

  /** Atomic write. */
  save(file: string): void {
    const descriptor = openSync(`${file}.new`, 'w', 0o600);
    try {
      const digest = createHash('sha256');
      let at = DIGEST_BYTES;
      for (const piece of this.#pieces()) {
        digest.update(piece);
        writeAll(descriptor, piece, at);
        at += piece.length;
      }
      writeAll(descriptor, digest.digest(), 0);
    } finally {
      closeSync(descriptor);
    }
    renameSync(`${file}.new`, file);
  }

  /** Initial places: the file's if the far side has the same, otherwise none. */
  static agreed(of: { file: string; cells: number; farDigest: string } | undefined): Places {
    if (of === undefined) return Places.empty(MIN_CELLS);
    const own = Places.empty(of.cells);
    return own.#read(of.file) === of.farDigest ? own : Places.empty(of.cells);
  }

  /** File contents without the digest: keys, then names. Each piece is valid until the next. */
  *#pieces(): Generator<Buffer> {
    const keys = new Float64Array(Math.min(this.#cells, PIECE_CELLS));
    for (let from = 0; from < this.#cells; from += keys.length) {
      for (let at = 0; at < keys.length; at += 1) keys[at] = (this.#keys[from + at] ?? 0) - 1;
      yield Buffer.from(keys.buffer);
    }
    const nameBytes = keys.length * ID_BYTES;
    for (let from = 0; from < this.#names.length; from += nameBytes) {
      yield this.#names.subarray(from, from + nameBytes);
    }
  }

  /** Loads the file's places and returns its digest; undefined, with no places, if it is incomplete. */
  #read(file: string): string | undefined {
    return readWhole(file, this.#cells, {
      keys: (keys, from) => {
        for (let at = 0; at < keys.length; at += 1) {
          const place = keys[at] ?? NO_PLACE;
          if (place !== NO_PLACE) this.#keys[from + at] = place + 1;
        }
      },
      names: (names, from) => {
        if (!isZero(names)) this.#names.set(names, from * ID_BYTES);
      },
    });
  }

  #cell(key: number): number {
    return ((key >>> 0) ^ Math.imul(key / 2 ** 32, 0x9e3779b1)) & (this.#cells - 1);
  }
}

/** Key of an empty cell in a file. */
const NO_PLACE = -1;
const ZERO = Buffer.alloc(PIECE_CELLS * ID_BYTES);

function isZero(bytes: Buffer): boolean {
  return ZERO.compare(bytes, 0, bytes.length, 0, bytes.length) === 0;
}

/** Digest that one side sends at the start of a session; empty without places. */
export function placesDigest(file: string, cells: number): string {
  return readWhole(file, cells) ?? '';
}

interface Takers {
  /** File's keys from this cell on, valid during the call, as are the names. */
  readonly keys: (keys: Float64Array, fromCell: number) => void;
  readonly names: (names: Buffer, fromCell: number) => void;
}

/** Reads a file of `save` in pieces and returns its digest, or undefined if it is incomplete. */
function readWhole(file: string, cells: number, into?: Takers): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    return undefined;
  }
  try {
    const keyBytes = cells * KEY_BYTES;
    if (fstatSync(descriptor).size !== DIGEST_BYTES + keyBytes + cells * ID_BYTES) return undefined;
    const said = Buffer.alloc(DIGEST_BYTES);
    readSync(descriptor, said, 0, DIGEST_BYTES, 0);
    const digest = createHash('sha256');
    const piece = Buffer.from(new ArrayBuffer(Math.min(cells, PIECE_CELLS) * ID_BYTES));
    const read = (
      start: number,
      bytesPerCell: number,
      take: (bytes: Buffer, from: number) => void,
    ) => {
      for (let from = 0; from < cells; from += PIECE_CELLS) {
        const bytes = piece.subarray(0, Math.min(cells - from, PIECE_CELLS) * bytesPerCell);
        readSync(descriptor, bytes, 0, bytes.length, start + from * bytesPerCell);
        digest.update(bytes);
        take(bytes, from);
      }
    };
    read(DIGEST_BYTES, KEY_BYTES, ({ buffer, length }, from) =>
      into?.keys(new Float64Array(buffer, 0, length / KEY_BYTES), from),
    );
    read(DIGEST_BYTES + keyBytes, ID_BYTES, (bytes, from) => into?.names(bytes, from));
    const found = digest.digest();
    return found.equals(said) ? found.toString('hex') : undefined;
  } catch {
    // An unreadable file counts as absent.
    return undefined;
  } finally {
    closeSync(descriptor);
  }
}
