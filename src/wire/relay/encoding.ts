import { EncodePipe } from '../codec/encode-pipe.ts';
import { makeHash64 } from '../codec/hash.ts';
import type { Item } from '../codec/item.ts';
import type { EncodeTally } from '../codec/thread-messages.ts';
import { URGENT_SETTINGS } from './hello.ts';

/** Connection's encoder, such as an EncodeThread. */
export interface Encoding {
  /** Copies the items. Wait for it before the next call. */
  add(items: Iterable<Item>): Promise<void>;
  push(): Promise<void>;
  /** Resolves once everything was sent. */
  flush(): Promise<void>;
  /** Far side's answer. Wait for it before the next call. */
  answer(bytes: Uint8Array): Promise<void>;
  close(): Promise<EncodeTally | undefined>;
}

/** Encoder of the urgent connection: small and in this thread, because each hop would delay the page. */
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
