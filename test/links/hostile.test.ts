import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { writeAck } from '../../src/links/ack.ts';
import { LinkCore } from '../../src/links/core.ts';
import {
  BadLinkFrame,
  controlFrame,
  TYPES,
  type Frame,
  type FrameType,
} from '../../src/links/format.ts';
import type { Position } from '../../src/links/greeting.ts';
import { world, Path } from './simulated.ts';

const HOLDS = 256 * 1024;
/** One message may go beyond the bound. */
const BEYOND = 9 * 1024 * 1024;

describe('a rule-breaking peer', () => {
  const core = (): LinkCore => {
    const made = new LinkCore({ peer: 'far', graceMs: 1000, holdsBytes: HOLDS });
    made.join(1, [], 0);
    return made;
  };
  const data = (
    channel: number,
    number: number,
    bytes: number,
    type: 'data' | 'piece' = 'data',
  ) => ({
    type,
    channel,
    number,
    payload: new Uint8Array(bytes),
  });

  test('a rule-breaking peer is bounded when it keeps sending while nothing is read', () => {
    for (const [type, bytes] of [
      ['data', 65_000],
      ['piece', 65_000],
      ['data', 0],
    ] as const) {
      for (const step of [1, 2]) {
        const made = core();
        assert.throws(() => {
          for (let number = 0; number < 3_000_000; number += step)
            made.receive(1, data(32, number, bytes, type), 0);
        }, BadLinkFrame);
        assert.ok(made.inbox.heldBytes <= HOLDS + BEYOND);
      }
    }
  });

  test('a rule-breaking peer is refused an ack of unsent data, and one that goes back', () => {
    const sent = core();
    sent.outbox.add(32, new Uint8Array(100));
    sent.outbox.add(32, new Uint8Array(100));
    sent.pump(0);
    const ack = (number: number, taken: [number, number][] = []) =>
      controlFrame('ack', number, writeAck(taken));
    assert.throws(() => sent.receive(1, ack(3), 0), BadLinkFrame);
    const other = core();
    other.outbox.add(32, new Uint8Array(100));
    assert.throws(() => other.receive(1, ack(0, [[32, 1]]), 0), BadLinkFrame);
    other.pump(0);
    other.receive(1, ack(1, [[32, 1]]), 0);
    assert.equal(other.outbox.outBytes, 0);
    assert.throws(() => other.receive(1, ack(0), 0), BadLinkFrame);
    assert.throws(() => core().receive(1, ack(0, [[33, 1]]), 0), BadLinkFrame);
    assert.throws(() => core().join(2, [[32, 1, 0]], 0), BadLinkFrame);
  });

  test('a rule-breaking peer is refused an unknown channel, an oversized message, and a second greeting', () => {
    assert.throws(() => core().receive(1, data(64, 0, 1), 0), BadLinkFrame);
    for (const type of ['hello', 'welcome', 'refuse'] as const) {
      assert.throws(() => core().receive(1, controlFrame(type), 0), BadLinkFrame);
    }
  });

  test('a rule-breaking peer that never acknowledges makes the sender store at most its window', () => {
    const made = world(new Path(125_000_000, 1), 1);
    made.target.takeMs = () => 1e9;
    made.source.core.outbox.windowBytes = 500_000;
    for (let count = 0; count < 100; count += 1) made.source.send(32, new Uint8Array(100_000));
    made.time.run(20_000);
    assert.ok(made.source.core.outbox.outBytes <= 600_000);
    assert.ok(!made.source.senders.isEmpty);
  });

  test('a rule-breaking peer meets its limits or is refused, whatever frames it sends in any order', () => {
    const small = fc.nat(6);
    const channel = fc.constantFrom(0, 16, 32, 63, 64, 255);
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.array(fc.tuple(channel, small), { maxLength: 4 }).map((taken) => writeAck(taken)),
    );
    const frame: fc.Arbitrary<Frame> = fc.record({
      type: fc.constantFrom(...(Object.keys(TYPES) as FrameType[])),
      channel,
      number: fc.oneof(small, fc.maxSafeNat()),
      payload,
    });
    const position = fc.tuple(fc.constantFrom(0, 16, 32, 63), small, small);
    const event = fc.oneof(
      frame.map((each) => (core: LinkCore) => core.receive(1, each, 0)),
      fc.array(position, { maxLength: 3 }).map((all: Position[]) => (core: LinkCore) => {
        core.leave(1, 0);
        core.join(1, all, 0);
      }),
      fc.constant((core: LinkCore) => {
        core.outbox.add(32, new Uint8Array(70_000));
        core.pump(0);
      }),
      fc.constant((core: LinkCore) => {
        for (const each of core.inbox.waiting()) {
          core.inbox.start(each);
          core.inbox.took(each);
        }
        core.acknowledge(0);
      }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const made = core();
        try {
          for (const each of events) each(made);
        } catch (error) {
          assert.ok(error instanceof BadLinkFrame, String(error));
        }
        assert.ok(made.inbox.heldBytes >= 0 && made.inbox.heldBytes <= HOLDS + BEYOND);
        assert.ok(made.outbox.outBytes >= 0 && made.flight.bytes >= 0);
      }),
      { numRuns: Number(process.env['GODWIT_FUZZ_RUNS'] ?? 5000) },
    );
  });
});
