import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  Pairing,
  PAIRING_LIMITS,
  type PairingEffect,
  type PairingEvent,
} from '../../src/relay/pairing.ts';

const wait = (stream: number, who = 'b', at = `${who}:1`): PairingEvent => ({
  type: 'wait',
  stream,
  who,
  at,
});
const call = (stream: number, at = 'b:1', who = 'a'): PairingEvent => ({
  type: 'call',
  stream,
  who,
  at,
});

test('a caller is joined with a waiting stream, once that stream accepts it', () => {
  const pairing = new Pairing();
  assert.deepEqual(pairing.on(wait(1), 0), [{ do: 'say-waits', stream: 1 }]);
  assert.deepEqual(pairing.on(call(2), 1), [{ do: 'offer', stream: 1, by: 'a' }]);
  assert.deepEqual(pairing.on({ type: 'ready', stream: 1 }, 2), [
    { do: 'join', waiter: 1, caller: 2 },
  ]);
  assert.equal(pairing.joined, 1);
});

test('a caller that came first waits for a stream', () => {
  const pairing = new Pairing();
  assert.deepEqual(pairing.on(call(2), 0), []);
  assert.deepEqual(pairing.on(wait(1), 1), [
    { do: 'say-waits', stream: 1 },
    { do: 'offer', stream: 1, by: 'a' },
  ]);
});

test('the newest waiting stream is offered a caller, and the one before it if that one is silent', () => {
  const pairing = new Pairing();
  pairing.on(wait(1), 0);
  pairing.on(wait(2), 0);
  assert.deepEqual(pairing.on(call(3), 10), [{ do: 'offer', stream: 2, by: 'a' }]);
  assert.deepEqual(pairing.on({ type: 'time' }, 10 + PAIRING_LIMITS.offerMs), [
    { do: 'close', stream: 2, why: 'no-answer' },
    { do: 'offer', stream: 1, by: 'a' },
  ]);
});

test('hosts that call take turns, however often one of them calls', () => {
  const pairing = new Pairing();
  for (let id = 1; id <= 10; id += 1) pairing.on(call(id, 'b:1', 'evil'), 0);
  pairing.on(call(11, 'b:1', 'c'), 1);
  const offeredTo: string[] = [];
  for (let id = 20; id < 24; id += 1) {
    for (const effect of pairing.on(wait(id), 2))
      if (effect.do === 'offer') offeredTo.push(effect.by);
    for (const effect of pairing.on({ type: 'ready', stream: id }, 2)) {
      if (effect.do !== 'join') continue;
      pairing.on({ type: 'gone', stream: effect.caller }, 2);
      pairing.on({ type: 'gone', stream: effect.waiter }, 2);
    }
    pairing.on(call(id + 20, 'b:1', 'evil'), 2);
  }
  assert.deepEqual(offeredTo, ['evil', 'c', 'evil', 'evil']);
});

test("no stream waits under another host's name", () => {
  const pairing = new Pairing();
  assert.deepEqual(pairing.on(wait(1, 'c', 'b:1'), 0), [
    { do: 'close', stream: 1, why: 'not-its-name' },
  ]);
  assert.equal(pairing.size, 0);
});

test('a caller without a stream is refused in time, and so is a silent waiting stream', () => {
  const pairing = new Pairing();
  pairing.on(call(1), 0);
  pairing.on(wait(2, 'c'), 0);
  assert.deepEqual(pairing.on({ type: 'time' }, PAIRING_LIMITS.callMs), [
    { do: 'close', stream: 1, why: 'nobody-waits' },
  ]);
  pairing.on({ type: 'pong', stream: 2 }, 10_000);
  assert.deepEqual(pairing.on({ type: 'time' }, 20_000), []);
  assert.deepEqual(pairing.on({ type: 'time' }, 25_000), [
    { do: 'close', stream: 2, why: 'no-answer' },
  ]);
});

test('a stream that was offered a departed caller accepts no other one', () => {
  const pairing = new Pairing();
  pairing.on(wait(1), 0);
  pairing.on(call(2), 0);
  assert.deepEqual(pairing.on({ type: 'gone', stream: 2 }, 1), [
    { do: 'close', stream: 1, why: 'caller-gone' },
  ]);
});

test('each host has a share, and requests beyond it are refused', () => {
  const limits = { ...PAIRING_LIMITS, streamsEach: 4, callingEach: 2, waitingAt: 3, streamsAll: 6 };
  const pairing = new Pairing(limits);
  const whys = (event: PairingEvent): string[] =>
    pairing.on(event, 0).flatMap((effect) => (effect.do === 'close' ? [effect.why] : []));
  assert.deepEqual(
    [1, 2, 3, 4].flatMap((id) => whys(wait(id))),
    ['too-many-waiting'],
  );
  assert.deepEqual(
    [5, 6, 7].flatMap((id) => whys(call(id, 'z:1'))),
    ['too-many-calling'],
  );
  assert.deepEqual(whys(wait(8, 'b', 'b:2')), []);
  assert.deepEqual(whys(wait(9, 'b', 'b:3')), ['too-many-streams']);
  assert.deepEqual(whys(wait(10, 'c')), ['relay-full']);
});

/** What somebody who knows only the effects can say of each stream. */
class Oracle {
  readonly open = new Map<number, { who: string; at: string; does: 'wait' | 'call' }>();
  readonly offered = new Set<number>();
  readonly joined = new Map<number, number>();

  take(effect: PairingEffect): void {
    if (effect.do === 'close') {
      assert.ok(this.open.has(effect.stream), 'only a stream that is open is closed, once');
      assert.ok(!this.joined.has(effect.stream), 'what is joined is left alone');
      this.open.delete(effect.stream);
      this.offered.delete(effect.stream);
    } else if (effect.do === 'offer') {
      const waiter = this.open.get(effect.stream);
      assert.equal(waiter?.does, 'wait');
      assert.ok(!this.offered.has(effect.stream), 'who waits is offered one caller');
      this.offered.add(effect.stream);
    } else if (effect.do === 'join') {
      const { waiter, caller } = effect;
      assert.ok(this.offered.has(waiter));
      assert.equal(this.open.get(caller)?.does, 'call');
      assert.equal(
        this.open.get(waiter)?.at,
        this.open.get(caller)?.at,
        'both meant one rendezvous',
      );
      assert.ok(!this.joined.has(waiter) && !this.joined.has(caller), 'each is joined once');
      this.joined.set(waiter, caller);
      this.joined.set(caller, waiter);
    }
  }
}

const hosts = ['a', 'b', 'c'] as const;
const step = fc.oneof(
  fc.record({
    does: fc.constantFrom('wait' as const, 'call' as const),
    who: fc.constantFrom(...hosts),
    host: fc.constantFrom(...hosts),
    port: fc.integer({ min: 1, max: 2 }),
  }),
  fc.record({
    answer: fc.constantFrom('pong' as const, 'ready' as const, 'gone' as const),
    of: fc.nat(),
  }),
  fc.record({ passMs: fc.integer({ min: 1, max: 6000 }) }),
);

test('only a stream waiting under its name and a caller of it are joined, whatever arrives', () => {
  const limits = {
    ...PAIRING_LIMITS,
    streamsEach: 6,
    streamsAll: 12,
    waitingAt: 3,
    callingEach: 3,
  };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const pairing = new Pairing(limits);
      const oracle = new Oracle();
      let nowMs = 0;
      let next = 1;
      const run = (event: PairingEvent): void =>
        pairing.on(event, nowMs).forEach((effect) => oracle.take(effect));
      for (const each of steps) {
        if ('passMs' in each) {
          nowMs += each.passMs;
          run({ type: 'time' });
        } else if ('answer' in each) {
          const ids = [...oracle.open.keys()];
          const stream = ids[each.of % Math.max(1, ids.length)];
          if (stream === undefined) continue;
          if (each.answer === 'gone') {
            oracle.open.delete(stream);
            oracle.offered.delete(stream);
            oracle.joined.delete(stream);
          } else if (oracle.joined.has(stream)) continue;
          run({ type: each.answer, stream });
        } else {
          const { does, who, host, port } = each;
          const at = `${host}:${port}`;
          oracle.open.set(next, { who, at, does });
          run({ type: does, stream: next, who, at });
          if (does === 'wait' && oracle.open.has(next)) assert.equal(who, host);
          next += 1;
        }
        assert.equal(pairing.size, oracle.open.size);
        assert.ok(pairing.size <= limits.streamsAll);
        for (const host of hosts) {
          const own = [...oracle.open.values()].filter(({ who }) => who === host);
          assert.ok(own.length <= limits.streamsEach);
        }
      }
      // Nothing waits or calls for ever.
      for (let passed = 0; passed < 3; passed += 1) {
        nowMs += PAIRING_LIMITS.silentMs;
        run({ type: 'time' });
      }
      assert.ok([...oracle.open.keys()].every((id) => oracle.joined.has(id)));
    }),
    { numRuns: 300 },
  );
});

test('a caller is never left alone while a stream waits for it', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('wait', 'call', 'ready', 'gone'), { maxLength: 60 }),
      fc.infiniteStream(fc.nat()),
      (events, choices) => {
        const pairing = new Pairing();
        const [waits, calls, offers] = [
          new Set<number>(),
          new Set<number>(),
          new Map<number, true>(),
        ];
        const take = (effect: PairingEffect): void => {
          if (effect.do === 'offer') {
            waits.delete(effect.stream);
            offers.set(effect.stream, true);
          } else if (effect.do === 'join') {
            offers.delete(effect.waiter);
            calls.delete(effect.caller);
          } else if (effect.do === 'close') {
            for (const each of [waits, calls, offers]) each.delete(effect.stream);
          }
        };
        let id = 0;
        for (const type of events) {
          id += 1;
          if (type === 'wait') waits.add(id);
          if (type === 'call') calls.add(id);
          const among =
            type === 'ready' ? [...offers.keys()] : [...waits, ...calls, ...offers.keys()];
          const [choice = 0] = choices.take(1);
          const one = among[choice % Math.max(1, among.length)];
          if (type === 'gone' && one !== undefined) {
            for (const each of [waits, calls, offers]) each.delete(one);
          }
          const event =
            type === 'wait'
              ? wait(id)
              : type === 'call'
                ? call(id)
                : one === undefined
                  ? undefined
                  : ({ type, stream: one } as PairingEvent);
          if (event !== undefined) pairing.on(event, 0).forEach(take);
          assert.ok(waits.size === 0 || calls.size <= offers.size);
        }
      },
    ),
    { numRuns: 300 },
  );
});
