import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  encodeFrame,
  fileHead,
  FrameReader,
  KINDS,
  MAX_FRAME,
} from '../../../../src/drivers/criu/link/frames.ts';

test('every frame is read back, however the bytes are cut', () => {
  const kind = fc.constantFrom(...Object.values(KINDS));
  const frame = fc.tuple(kind, fc.uint8Array({ maxLength: 300 }));
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(400)), (frames, cuts) => {
      let rest = Buffer.concat(frames.map(([k, body]) => encodeFrame(k, Buffer.from(body))));
      const reader = new FrameReader();
      const got: { kind: number; body: Buffer }[] = [];
      for (const cut of [...cuts, rest.length]) {
        got.push(...reader.push(rest.subarray(0, cut)));
        rest = rest.subarray(cut);
      }
      got.push(...reader.push(rest));
      assert.deepEqual(
        got.map((each) => [each.kind, [...each.body]]),
        frames.map(([k, body]) => [k, [...body]]),
      );
    }),
  );
});

test('any bytes are read without a crash, and a frame over the limit is refused', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (parts) => {
      const reader = new FrameReader();
      try {
        for (const part of parts) reader.push(Buffer.from(part));
      } catch (error) {
        assert.match(String(error), /a frame of \d+ bytes/);
      }
    }),
  );
  const head = Buffer.alloc(5);
  head.writeUInt32LE(MAX_FRAME + 1, 1);
  assert.throws(() => new FrameReader().push(head), /a frame of/);
});

test('a peer names images as CRIU and runc do, and no file that Godwit keeps next to them', () => {
  const named = (name: string): boolean =>
    fileHead.safeParse({ name, bytes: 1, what: 'image' }).success;
  const theirs = ['pages-1.img', 'tmpfs-dev-42.tar.gz.img', 'inventory.img', 'descriptors.json'];
  for (const name of theirs) assert.ok(named(name), name);
  for (const name of [
    'pager.journal',
    'pager.journal.new',
    'pagers',
    'pager.log',
    'came-1.map',
    'control-17',
    'lazy-pages.socket',
    'setup.json',
    '.hidden.img',
    '../up.img',
    'a/b.img',
  ])
    assert.ok(!named(name), name);
});
