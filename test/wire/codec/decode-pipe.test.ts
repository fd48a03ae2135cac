import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DecodePipe } from '../../../src/wire/codec/decode-pipe.ts';
import { EncodePipe } from '../../../src/wire/codec/encode-pipe.ts';
import { makeHash64 } from '../../../src/wire/codec/hash.ts';
import { PAGE_BYTES } from '../../../src/wire/codec/item.ts';
import { DEFAULT_SETTINGS } from '../../../src/wire/codec/settings.ts';

const hash64 = await makeHash64(1n);

test('a decoder reports its progress after a sixteenth of the window, and not after each batch', async () => {
  const settings = { ...DEFAULT_SETTINGS, windowPages: 64 };
  let answers = 0;
  let batches = 0;
  const decode = new DecodePipe({
    settings,
    hash64,
    mostHeldBytes: 1 << 20,
    give: () => undefined,
    compared: () => void (batches += 1),
    answer: () => Promise.resolve(void (answers += 1)),
  });
  const encode = new EncodePipe({
    settings,
    hash64,
    cores: 1,
    nowMs: () => 0,
    send: (frame) => decode.write(frame),
  });
  for (let at = 0; at < 16; at += 1) {
    await encode.add([
      { kind: 'page', block: 0, offset: at * PAGE_BYTES, bytes: Buffer.alloc(PAGE_BYTES, at + 1) },
    ]);
    await encode.flush();
  }
  assert.deepEqual([batches, answers], [16, 4]);
  decode.close();
});
