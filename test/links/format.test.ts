import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CHANNELS } from '../../src/links/session.ts';
import { readAck, writeAck } from '../../src/links/ack.ts';
import {
  BadLinkFrame,
  HEAD_BYTES,
  LinkFrameReader,
  MAX_DATA_BYTES,
  TYPES,
  writeHead,
  type Frame,
  type FrameType,
} from '../../src/links/format.ts';
import { helloSchema, readJson, refusalSchema, welcomeSchema } from '../../src/links/greeting.ts';

const RUNS = Number(process.env['GODWIT_FUZZ_RUNS'] ?? 2000);
const EMPTY = new Set<FrameType>(['ping', 'pong', 'goodbye']);

const frame: fc.Arbitrary<Frame> = fc
  .record({
    type: fc.constantFrom(...(Object.keys(TYPES) as FrameType[])),
    channel: fc.nat(255),
    number: fc.oneof(fc.nat(5), fc.maxSafeNat()),
    payload: fc.uint8Array({ maxLength: 600 }),
  })
  .map((made) => (EMPTY.has(made.type) ? { ...made, payload: new Uint8Array(0) } : made));

function bytesOf(frames: readonly Frame[]): Buffer {
  return Buffer.concat(frames.flatMap((each) => [writeHead(each), each.payload]));
}

/** Reads it in pieces of these lengths, in turn. */
function read(bytes: Uint8Array, lengths: readonly number[]): Frame[] {
  const reader = new LinkFrameReader();
  const frames: Frame[] = [];
  let at = 0;
  for (let turn = 0; at < bytes.length; turn += 1) {
    const length = lengths[turn % lengths.length] ?? 1;
    frames.push(...reader.read(bytes.subarray(at, at + length)));
    at += length;
  }
  return frames;
}

const plain = (frames: readonly Frame[]) =>
  frames.map((each) => ({ ...each, payload: Buffer.from(each.payload).toString('hex') }));

describe('frames', () => {
  test('frames are read as they were written, in whatever pieces they arrive', () => {
    const pieces = fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), pieces, (frames, lengths) => {
        assert.deepEqual(plain(read(bytesOf(frames), lengths)), plain(frames));
      }),
      { numRuns: RUNS },
    );
  });

  test('frames have separate payloads: later changes of the piece do not affect them', () => {
    const bytes = bytesOf([{ type: 'data', channel: 1, number: 2, payload: Buffer.from('abc') }]);
    const [first] = [...new LinkFrameReader().read(bytes)];
    bytes.fill(0);
    assert.equal(Buffer.from(first!.payload).toString(), 'abc');
  });

  test('frames that are damaged anywhere are read as frames within their limits, or refused', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(
        fc.array(frame, { minLength: 1, maxLength: 6 }),
        damage,
        fc.boolean(),
        (frames, all, atHeads) => {
          const bytes = bytesOf(frames);
          const heads: number[] = [];
          let at = 0;
          for (const { payload } of frames) {
            heads.push(at);
            at += HEAD_BYTES + payload.length;
          }
          for (const [where, value] of all) {
            const head = heads[where % heads.length]!;
            bytes[atHeads ? head + (where % HEAD_BYTES) : where % bytes.length] = value;
          }
          refusedOrBounded(bytes);
        },
      ),
      { numRuns: RUNS },
    );
  });

  test('arbitrary bytes are refused as frames, or read within the limits', () => {
    const bytes = fc.uint8Array({ maxLength: 200 });
    fc.assert(fc.property(bytes, refusedOrBounded), { numRuns: RUNS });
  });

  test('frames that claim an excessive length are refused before their payload is stored', () => {
    for (const type of Object.keys(TYPES) as FrameType[]) {
      const head = writeHead({ type, channel: 0, number: 0, payload: new Uint8Array(0) });
      head.writeUInt32BE(MAX_DATA_BYTES + 1, 4);
      assert.throws(() => [...new LinkFrameReader().read(head)], BadLinkFrame);
      head.writeUInt32BE(0xffffffff, 4);
      assert.throws(() => [...new LinkFrameReader().read(head)], BadLinkFrame);
    }
  });
});

function refusedOrBounded(bytes: Uint8Array): void {
  try {
    for (const each of read(bytes, [64])) {
      assert.ok(each.payload.length <= MAX_DATA_BYTES);
      assert.ok(Number.isSafeInteger(each.number));
      readAll(each.payload);
    }
  } catch (error) {
    assert.ok(error instanceof BadLinkFrame, String(error));
  }
}

/** Each reader of a payload takes it or throws BadLinkFrame. */
function readAll(payload: Uint8Array): void {
  const readers = [
    () => readAck(payload),
    () => readJson(helloSchema, payload, 'hello'),
    () => readJson(welcomeSchema, payload, 'welcome'),
    () => readJson(refusalSchema, payload, 'refuse'),
  ];
  for (const each of readers) {
    try {
      each();
    } catch (error) {
      assert.ok(error instanceof BadLinkFrame, String(error));
    }
  }
}

test('the page about the links lists the present types of frames', () => {
  const page = readFileSync(path.join(import.meta.dirname, '../../src/links/README.md'), 'utf8');
  const rows = [...page.matchAll(/^\| (\d+) \| (\w+) \|/gm)].map(([, number, name]) => [
    name,
    Number(number),
  ]);
  assert.deepEqual(rows, Object.entries(TYPES));
});

describe('an acknowledgement', () => {
  test('an acknowledgment reports each channel as it was reported', () => {
    const entry = fc.tuple(fc.nat(CHANNELS - 1), fc.nat({ max: 2 ** 48 - 1 }));
    fc.assert(
      fc.property(fc.array(entry, { maxLength: CHANNELS }), (taken) => {
        assert.deepEqual(readAck(writeAck(taken)), taken);
      }),
    );
  });
});

describe('a greeting', () => {
  const welcome = {
    version: 1,
    incarnation: '0'.repeat(32),
    holdsBytes: 1 << 20,
    positions: [[32, 7, 5]],
  };
  const bytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

  test('a greeting is accepted as it is reported', () => {
    assert.deepEqual(readJson(welcomeSchema, bytes(welcome), 'welcome'), welcome);
  });

  test('an invalid greeting is refused', () => {
    const wrong = [
      { ...welcome, version: 2 },
      { ...welcome, incarnation: 'x' },
      { ...welcome, holdsBytes: 0 },
      { ...welcome, positions: [[64, 1, 1]] },
      { ...welcome, positions: [[32, 5, 7]] },
      { ...welcome, positions: [[32, -1, -1]] },
      { ...welcome, positions: Array.from({ length: CHANNELS + 1 }, () => [0, 0, 0]) },
      null,
      [],
    ];
    for (const each of wrong) {
      assert.throws(() => readJson(welcomeSchema, bytes(each), 'welcome'), BadLinkFrame);
    }
    assert.throws(() => readJson(welcomeSchema, Buffer.from('{'), 'welcome'), BadLinkFrame);
  });
});
