import { u16, u64 } from '../../../src/wire/stream/fields.ts';
import {
  MAX_RETURN_PAYLOAD,
  RECV_BITMAP_END_BYTES,
  RETURN,
  RETURN_MESSAGES,
} from '../../../src/wire/stream/format.ts';
import { Framer } from '../../../src/wire/stream/framer.ts';
import type { StreamSink } from '../../../src/wire/stream/types.ts';

const HEADER_BYTES = 4;

/**
 * What the destination's QEMU says to the source's on the main channel's socket: messages, each with its length.
 * They have nothing to be found again by: once one is not valid, the rest is `unknown`.
 */
export class ReturnPath extends Framer {
  #state: 'message' | 'bitmap' | 'bitmap-end' | 'lost' = 'message';

  constructor(sink: StreamSink) {
    super(sink);
  }

  protected step(bytes: Uint8Array, at: number, end: number): number {
    switch (this.#state) {
      case 'message':
        return this.#message(bytes, at, end);
      case 'bitmap':
        return this.#bitmap(bytes, at, end);
      case 'bitmap-end':
        return this.#bitmapEnd(bytes, at, end);
      case 'lost':
        this.span('unknown', bytes, at, end);
        return end - at;
    }
  }

  #lose(why: string): 0 {
    this.#state = 'lost';
    this.note({ type: 'lost', atByte: this.position, why });
    return 0;
  }

  #message(bytes: Uint8Array, at: number, end: number): number {
    if (end - at < HEADER_BYTES) return -HEADER_BYTES;
    const code = u16(bytes, at);
    const length = u16(bytes, at + 2);
    const format = RETURN_MESSAGES.get(code);
    // A newer QEMU's message that we do not know says its length too.
    if (code === 0 || code > MAX_CODE || length > MAX_RETURN_PAYLOAD) {
      return this.#lose('not a message');
    }
    if ((format?.payloadBytes ?? length) !== length)
      return this.#lose('a message of another length');
    const total = HEADER_BYTES + length;
    if (end - at < total) return -total;
    this.span('message', bytes, at, at + total);
    if (code === RETURN.RECV_BITMAP) this.#state = 'bitmap';
    this.note({ type: 'message', code, name: format?.name ?? '' });
    return total;
  }

  /** The bitmap of the pages that have arrived comes right behind its message, with a length of its own. */
  #bitmap(bytes: Uint8Array, at: number, end: number): number {
    if (end - at < 8) return -8;
    const length = u64(bytes, at);
    if (!Number.isSafeInteger(length)) return this.#lose('not the length of a bitmap');
    this.span('bitmap', bytes, at, at + 8);
    this.pass('bitmap', length);
    this.#state = 'bitmap-end';
    return 8;
  }

  #bitmapEnd(bytes: Uint8Array, at: number, end: number): number {
    if (end - at < 8) return -8;
    for (let index = 0; index < 8; index += 1) {
      if (bytes[at + index] !== RECV_BITMAP_END_BYTES[index]) {
        return this.#lose('not the end of a bitmap');
      }
    }
    this.span('bitmap', bytes, at, at + 8);
    this.#state = 'message';
    return 8;
  }
}

/** Far above what QEMU has; what is higher is no message of any version to come. */
const MAX_CODE = 64;
