import { ID_BYTES } from '../codec/settings.ts';

/**
 * Set of names in about 2.2 bytes each, sent at the start of a session: numbers below count x 2^16, sorted, with
 * Rice-coded differences. It contains the whole set and one in 65,536 other names, each of which costs a round
 * trip.
 */
const EXTRA_BITS = 16;
const HEAD_BYTES = 4;
/** 2.2 bytes each; a larger claim of a peer is refused. */
export const MAX_SUMMARY_NAMES = 2_000_000;
/** Longer differences do not occur unless forged. */
const MAX_QUOTIENT = 1 << 16;

/** Uses the first `most` names, so give the newest first. Keeps only the 6 significant bytes of each. */
export function writeSummary(names: Iterable<Uint8Array>, most = MAX_SUMMARY_NAMES): Buffer {
  const bound = Math.min(most, MAX_SUMMARY_NAMES);
  let numbers = new Float64Array(1024);
  let count = 0;
  for (const name of names) {
    if (count === bound) break;
    if (count === numbers.length) {
      const larger = new Float64Array(count * 2);
      larger.set(numbers);
      numbers = larger;
    }
    numbers[count] = numberOf(name);
    count += 1;
  }
  const values = numbers.subarray(0, count);
  for (let at = 0; at < count; at += 1) values[at] = scaled(values[at] ?? 0, count);
  values.sort();
  const bits = new BitWriter();
  let before = 0;
  for (const value of values) {
    bits.rice(value - before);
    before = value;
  }
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(count);
  return Buffer.concat([head, bits.end()]);
}

export class Summary {
  readonly #count: number;
  readonly #values: Float64Array;

  /** Throws RangeError for invalid bytes. */
  constructor(bytes: Buffer) {
    const count = bytes.length < HEAD_BYTES ? -1 : bytes.readUInt32BE();
    const least = count * (EXTRA_BITS + 1);
    const bits = (bytes.length - HEAD_BYTES) * 8;
    if (count < 0 || count > MAX_SUMMARY_NAMES || bits < least || bits > least * 2 + 64) {
      throw new RangeError(`a summary of ${bytes.length} bytes for ${count} names`);
    }
    this.#count = count;
    this.#values = new Float64Array(count);
    const reader = new BitReader(bytes.subarray(HEAD_BYTES));
    let value = 0;
    for (let at = 0; at < count; at += 1) {
      value += reader.rice();
      this.#values[at] = value;
    }
  }

  get size(): number {
    return this.#count;
  }

  has(name: Uint8Array): boolean {
    if (this.#count === 0) return false;
    const value = valueOf(name, this.#count);
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#values[middle] ?? 0) < value) low = middle + 1;
      else high = middle;
    }
    return this.#values[low] === value;
  }
}

function valueOf(name: Uint8Array, count: number): number {
  return scaled(numberOf(name), count);
}

/** Last 6 bytes of a name, which are evenly distributed. */
function numberOf(name: Uint8Array): number {
  if (name.length !== ID_BYTES) throw new RangeError('no name');
  const high = ((name[10] ?? 0) * 256 + (name[11] ?? 0)) * 256 + (name[12] ?? 0);
  const low = ((name[13] ?? 0) * 256 + (name[14] ?? 0)) * 256 + (name[15] ?? 0);
  return high * 2 ** 24 + low;
}

function scaled(number: number, count: number): number {
  return Math.floor((number / 2 ** 48) * count * 2 ** EXTRA_BITS);
}

class BitWriter {
  #bytes = Buffer.alloc(1024);
  #bits = 0;

  rice(value: number): void {
    const quotient = Math.floor(value / 2 ** EXTRA_BITS);
    const room = Math.ceil((this.#bits + quotient + 1 + EXTRA_BITS) / 8);
    if (room > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(Math.max(room, this.#bytes.length))]);
    }
    for (let one = 0; one < quotient; one += 1) this.#put(1);
    this.#put(0);
    for (let bit = EXTRA_BITS - 1; bit >= 0; bit -= 1) this.#put((value >>> bit) & 1);
  }

  end(): Buffer {
    return this.#bytes.subarray(0, Math.ceil(this.#bits / 8));
  }

  #put(bit: number): void {
    if (bit === 1) {
      const at = this.#bits >>> 3;
      this.#bytes[at] = (this.#bytes[at] ?? 0) | (0x80 >>> (this.#bits & 7));
    }
    this.#bits += 1;
  }
}

class BitReader {
  readonly #bytes: Buffer;
  #bits = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  rice(): number {
    let quotient = 0;
    while (this.#take() === 1) {
      quotient += 1;
      if (quotient > MAX_QUOTIENT) throw new RangeError('a summary with a gap that none has');
    }
    let rest = 0;
    for (let bit = 0; bit < EXTRA_BITS; bit += 1) rest = rest * 2 + this.#take();
    return quotient * 2 ** EXTRA_BITS + rest;
  }

  #take(): number {
    const byte = this.#bytes[this.#bits >>> 3];
    if (byte === undefined) throw new RangeError('a summary ends too soon');
    const bit = (byte >>> (7 - (this.#bits & 7))) & 1;
    this.#bits += 1;
    return bit;
  }
}
