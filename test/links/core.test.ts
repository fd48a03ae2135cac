import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LinkCore } from '../../src/links/core.ts';
import { controlFrame, type Frame } from '../../src/links/format.ts';
import { Path, world, type End, type Way } from './simulated.ts';

const CHANNELS = [0, 3, 16, 17, 32, 33, 63] as const;
const HOLDS = 256 * 1024;
/** What one message may go beyond the bounds; the lanes before bulk have bounds of their own. */
const BEYOND = 2 * 16 * 1024 * 1024 + 3 * 9 * 1024 * 1024;

const sending = fc.record({
  atMs: fc.nat(3000),
  side: fc.constantFrom(0 as const, 1 as const),
  channel: fc.constantFrom(...CHANNELS),
  bytes: fc.oneof(fc.nat(300), fc.nat(300_000)),
});
const breaking = fc.record({
  atMs: fc.nat(4000),
  way: fc.nat(3),
  first: fc.constantFrom(0 as const, 1 as const),
  laterMs: fc.nat(400),
  againMs: fc.nat(1500),
});
interface LinkScenario {
  readonly ways: number;
  readonly bytesPerS: number;
  readonly roundTripMs: number;
  readonly jitterMs: number;
  readonly takeMs: number;
  readonly windowBytes: number;
  readonly rate: number | undefined;
  readonly sendings: readonly { atMs: number; side: 0 | 1; channel: number; bytes: number }[];
  readonly breakings: readonly {
    atMs: number;
    way: number;
    first: 0 | 1;
    laterMs: number;
    againMs: number;
  }[];
  readonly seed: number;
}

const plan: fc.Arbitrary<LinkScenario> = fc.record({
  ways: fc.integer({ min: 1, max: 4 }),
  bytesPerS: fc.constantFrom(500_000, 3_000_000, 100_000_000),
  roundTripMs: fc.constantFrom(0, 1, 40, 300),
  jitterMs: fc.constantFrom(0, 5, 200),
  takeMs: fc.constantFrom(0, 1, 30),
  windowBytes: fc.constantFrom(1, 100_000, 10_000_000),
  rate: fc.constantFrom(undefined, 200_000, 5_000_000),
  sendings: fc.array(sending, { maxLength: 60 }),
  breakings: fc.array(breaking, { maxLength: 12 }),
  seed: fc.nat(),
});

/** Small numbers that look drawn at random; the same for the same seed. */
function draws(seed: number): () => number {
  let state = seed % 2147483647 || 1;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

function messageOf(sequence: number, bytes: number): Uint8Array {
  const message = Buffer.alloc(bytes, sequence % 251);
  if (bytes >= 4) message.writeUInt32BE(sequence, 0);
  return message;
}

function happens(given: LinkScenario) {
  const path = new Path(given.bytesPerS, given.roundTripMs);
  const made = world(path, 0, { holdsBytes: HOLDS });
  const { time, source, target, connect } = made;
  const ends = [source, target] as const;
  const random = draws(given.seed);
  const ways: Way[] = [];
  let againMs = 100;
  const stand = (at: number): void => {
    const way = connect();
    const own = random() * given.jitterMs;
    way.jitterMs = () => own * random();
    way.onBreak = () => time.after(againMs, () => stand(at));
    ways[at] = way;
  };
  for (let at = 0; at < given.ways; at += 1) stand(at);
  for (const end of ends) {
    end.core.outbox.windowBytes = given.windowBytes;
    end.core.bucket.setRate(given.rate, 0);
    end.takeMs = () => random() * given.takeMs;
  }
  const sent = ends.map(() => new Map<number, Uint8Array[]>());
  for (const [sequence, { atMs, side, channel, bytes }] of given.sendings.entries()) {
    time.after(atMs, () => {
      const message = messageOf(sequence, bytes);
      sent[side]!.set(channel, [...(sent[side]!.get(channel) ?? []), message]);
      ends[side].send(channel, Uint8Array.from(message));
    });
  }
  for (const { atMs, way, first, laterMs, ...rest } of given.breakings) {
    time.after(atMs, () => {
      againMs = rest.againMs;
      ways[way % ways.length]!.break(first, laterMs);
      againMs = 100;
    });
  }
  return { ...made, ends, sent };
}

function arrived(end: End): Map<number, Uint8Array[]> {
  const got = new Map<number, Uint8Array[]>();
  for (const { channel, message } of end.taken) {
    got.set(channel, [...(got.get(channel) ?? []), Uint8Array.from(message)]);
  }
  return got;
}

function same(left: Map<number, Uint8Array[]>, right: Map<number, Uint8Array[]>): void {
  for (const channel of CHANNELS) {
    const [a, b] = [left.get(channel) ?? [], right.get(channel) ?? []];
    assert.equal(a.length, b.length, `channel ${channel}`);
    for (const [at, message] of a.entries()) assert.ok(Buffer.compare(message, b[at]!) === 0);
  }
}

const RUNS = Number(process.env['GODWIT_FUZZ_RUNS'] ?? 300);

/** What was taken was reported to a connection that broke, and to no other: the sender counted it for ever. */
const ONCE_FAILED: LinkScenario[] = [
  {
    ways: 1,
    bytesPerS: 500_000,
    roundTripMs: 300,
    jitterMs: 0,
    takeMs: 0,
    windowBytes: 1,
    rate: undefined,
    seed: 0,
    sendings: [{ atMs: 0, side: 1, channel: 0, bytes: 484 }],
    breakings: [
      { atMs: 1779, way: 0, first: 1, laterMs: 1, againMs: 0 },
      { atMs: 301, way: 0, first: 0, laterMs: 0, againMs: 1177 },
    ],
  },
  {
    ways: 2,
    bytesPerS: 500_000,
    roundTripMs: 300,
    jitterMs: 0,
    takeMs: 0,
    windowBytes: 1,
    rate: 200_000,
    seed: 0,
    sendings: [
      { atMs: 0, side: 1, channel: 0, bytes: 0 },
      { atMs: 877, side: 1, channel: 0, bytes: 54_821 },
      { atMs: 876, side: 1, channel: 63, bytes: 186_164 },
      { atMs: 876, side: 1, channel: 63, bytes: 276_018 },
    ],
    breakings: [
      { atMs: 877, way: 1, first: 0, laterMs: 0, againMs: 0 },
      { atMs: 3373, way: 1, first: 0, laterMs: 0, againMs: 866 },
      { atMs: 3404, way: 0, first: 0, laterMs: 0, againMs: 836 },
      { atMs: 801, way: 0, first: 0, laterMs: 77, againMs: 77 },
    ],
  },
];

describe('a session', () => {
  test('a session loses and doubles nothing, and stays within its limits, however its connections break', () => {
    fc.assert(
      fc.property(plan, (given) => {
        const { time, ends, sent } = happens(given);
        for (let untilMs = 100; untilMs < 6000; untilMs += 100) {
          time.run(untilMs);
          for (const end of ends) assert.ok(end.core.inbox.heldBytes <= HOLDS + BEYOND);
        }
        const done = (): boolean =>
          ends.every(
            ({ core, senders, error }) =>
              error !== undefined ||
              (core.outbox.isEmpty && senders.isEmpty && core.inbox.heldBytes === 0),
          ) && time.nowMs > 6000;
        time.run(1_000_000, done);
        assert.ok(done(), 'it did not come to its end');
        time.run(time.nowMs + 2000);
        for (const [side, end] of ends.entries()) {
          assert.equal(end.error, undefined);
          same(sent[side]!, arrived(ends[1 - side]!));
          assert.equal(end.core.outbox.outBytes, 0);
          assert.equal(end.core.flight.bytes, 0);
        }
      }),
      { numRuns: RUNS, examples: ONCE_FAILED.map((given): [LinkScenario] => [given]) },
    );
  });

  test('a session sends nothing twice while no connection breaks', () => {
    fc.assert(
      fc.property(plan, (given) => {
        const { time, ends } = happens({ ...given, breakings: [] });
        time.run(30_000);
        for (const { core } of ends) {
          assert.equal(core.counters.repeatedBytes, 0);
          assert.equal(core.inbox.duplicates, 0);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('a session keeps to a rate limit, and to a new one as soon as it is set', () => {
    const made = world(new Path(125_000_000, 10), 2);
    made.source.core.bucket.setRate(1_000_000, made.time.nowMs);
    for (let count = 0; count < 100; count += 1) made.source.send(32, new Uint8Array(100_000));
    const at = (ms: number): number => {
      made.time.run(ms);
      return made.target.taken.length * 100_000;
    };
    const one = at(1010);
    assert.ok(one >= 800_000 && one <= 1_200_000, `${one}`);
    made.source.core.bucket.setRate(4_000_000, made.time.nowMs);
    made.source.run();
    const two = at(2010) - one;
    assert.ok(two >= 3_600_000 && two <= 4_400_000, `${two}`);
    made.source.send(16, new Uint8Array(100));
    made.time.run(2030);
    assert.ok(
      made.target.taken.some(({ channel }) => channel === 16),
      'a limit does not hold up what is urgent',
    );
  });

  test('a session detects a silent connection within 3 seconds, and continues over another', () => {
    const good = new Path(12_500_000, 10);
    const bad = new Path(12_500_000, 10);
    const { time, source, target, connect } = world(good, 1);
    connect(bad);
    time.run(1000);
    assert.equal(source.core.measure(time.nowMs).connections, 2);
    bad.black = true;
    for (let count = 0; count < 20; count += 1) source.send(32, new Uint8Array(100_000));
    time.run(4000);
    assert.equal(source.core.measure(time.nowMs).connections, 1);
    time.run(5000);
    assert.equal(target.taken.length, 20);
    assert.ok(source.core.counters.repeatedBytes > 0);
    assert.equal(source.core.counters.cuts, 0);
  });

  test('a session is lost when no connection has existed for longer than the grace period, not before', () => {
    const { time, source, ways, connect } = world(new Path(12_500_000, 10), 1, { graceMs: 5000 });
    ways[0]!.break();
    time.run(4900);
    assert.equal(source.error, undefined);
    const again = connect();
    time.run(6000);
    again.break();
    assert.equal(source.core.counters.longestCutMs >= 4800, true);
    time.run(10_900);
    assert.equal(source.error, undefined);
    time.run(11_600);
    assert.match(String(source.error), /no connection to far for more than 5.0 s/);
  });
});

describe('a core with a misbehaving far side', () => {
  const standing = (): LinkCore => {
    const core = new LinkCore({ peer: 'far', graceMs: 1000, holdsBytes: HOLDS });
    core.join(1, [], 0);
    core.effects();
    return core;
  };
  const written = (core: LinkCore): string[] =>
    core
      .effects()
      .flatMap((effect) => (effect.type === 'write' ? [effect.frame] : []))
      .map(({ type, number }) => `${type} ${number}`);
  const data = (number: number): Frame => {
    return { type: 'data', channel: 0, number, payload: Buffer.alloc(10) };
  };

  test('a far side that pings often gets one pong per turn, and is refused beyond that', () => {
    const core = standing();
    for (const number of [5, 6, 7]) core.receive(1, controlFrame('ping', number), 10);
    assert.deepEqual(written(core), []);
    core.acknowledge(10);
    assert.deepEqual(written(core), ['pong 7']);
    core.acknowledge(20);
    assert.deepEqual(written(core), []);
    assert.throws(() => {
      for (let count = 0; count < 100; count += 1) core.receive(1, controlFrame('ping', 8), 30);
    }, /a ping before the last was answered/);
  });

  test('a far side that does not read reports gets the next one afterwards, with all of it', () => {
    const core = standing();
    core.receive(1, data(0), 10);
    core.receive(1, controlFrame('ping', 3), 10);
    assert.equal(typeof core.acknowledge(10, () => true), 'number');
    core.receive(1, data(1), 20);
    assert.equal(typeof core.acknowledge(20, () => true), 'number');
    assert.deepEqual(written(core), []);
    core.acknowledge(30, () => false);
    assert.deepEqual(written(core), ['pong 3', 'ack 2']);
  });

  test('a far side that acknowledges unread data gets at most two windows of it', () => {
    const core = standing();
    core.outbox.farHoldsBytes = HOLDS;
    let unreadBytes = 0;
    for (let count = 1; count < 1000; count += 1) {
      core.outbox.add(32, Buffer.alloc(1000));
      core.pump(1, unreadBytes);
      const bytes = core
        .effects()
        .reduce((sum, each) => sum + (each.type === 'write' ? each.frame.payload.length : 0), 0);
      if (bytes === 0) break;
      unreadBytes += bytes;
      core.receive(1, controlFrame('ack', count), 1);
    }
    const mostBytes = 2 * (core.flight.limitBytes + 128 * 1024) + 1000;
    assert.ok(unreadBytes > 0 && unreadBytes <= mostBytes, `${unreadBytes} bytes`);
  });
});
