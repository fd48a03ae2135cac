import { EncodePipe } from '../codec/encode-pipe.ts';
import { makeHash64 } from '../codec/hash.ts';
import type { Item } from '../codec/item.ts';
import type { EncodeTally } from '../codec/thread-messages.ts';
import { URGENT_SETTINGS } from './hello.ts';

/** An encoder as a connection uses it; an EncodeThread is one. */
export interface Encoding {
  /** Copies the items. Wait for it before the next call. */
  add(items: Iterable<Item>): Promise<void>;
  /** Lets what was added go its way. */
  push(): Promise<void>;
  /** Resolves when all was sent. */
  flush(): Promise<void>;
  /** Bytes that the far side answered. Wait for it before the next call. */
  answer(bytes: Uint8Array): Promise<void>;
  close(): Promise<EncodeTally | undefined>;
}

/** The encoder of the urgent connection: small, and in this thread, since each hop would cost the page its time. */
export async function urgentEncoding(
  seed: bigint,
  send: (frame: Buffer) => Promise<void>,
  fail: (error: unknown) => void,
): Promise<Encoding> {
  const pipe = new EncodePipe({
    settings: URGENT_SETTINGS,
    hash64: await makeHash64(seed),
    cores: 1,
    nowMs: () => performance.now(),
    send,
  });
  return {
    add: (items) => pipe.add(items),
    push: () => pipe.push(),
    flush: () => pipe.flush(),
    answer: (bytes) => pipe.answer(bytes).catch(fail),
    close: () => {
      const { encoder, level, misses } = pipe;
      return Promise.resolve({ encoded: encoder.encoded, levelChanges: level.changes, misses });
    },
  };
}
