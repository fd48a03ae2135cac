import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LinkAnswers } from '../../../src/agent/prediction/link-answers.ts';
import { LinkMeter, rateOf, type MeterResult } from '../../../src/agent/prediction/link-meter.ts';
import { LINK_KEPT_MS, MAX_LINK_BYTES, MAX_PAD } from '../../../src/protocol/peer/link.ts';

const { signal } = new AbortController();

/** A link of that rate in a time of its own; what is sent at once goes one after the other. */
function line(rate: number, roundTripMs: number) {
  let nowMs = 1000;
  let freeMs = 0;
  const waiting: { atMs: number; wake: () => void }[] = [];
  const state = { sent: 0, questions: 0, busy: undefined as string | undefined, ownBusy: false };
  /** The share of the time that each agent works. */
  const works = { here: 0, there: 0 };
  const sleepUntil = (atMs: number): Promise<void> =>
    new Promise((wake) => {
      waiting.push({ atMs, wake });
      setImmediate(() => {
        waiting.sort((left, right) => left.atMs - right.atMs);
        const next = waiting.shift();
        if (next === undefined) return;
        nowMs = Math.max(nowMs, next.atMs);
        next.wake();
      });
    });
  const clock = {
    monotonicMs: () => nowMs,
    wallMs: () => 1_700_000_000_000 + nowMs,
    sleep: async () => undefined,
  };
  const ask = async (_to: string, pad: string) => {
    state.questions += 1;
    state.sent += pad.length;
    freeMs = Math.max(freeMs, nowMs) + (pad.length / rate) * 1000;
    await sleepUntil(freeMs + roundTripMs);
    const workMs = 5000 + nowMs * works.there;
    return state.busy === undefined ? { workMs } : { busy: state.busy };
  };
  const workMs = (): number => 9000 + nowMs * works.here;
  const meter = new LinkMeter({ clock, isBusy: () => state.ownBusy, ask, workMs });
  return { meter, state, works, wait: (ms: number) => void (nowMs += ms) };
}

function measured(metered: MeterResult) {
  assert.ok('link' in metered, JSON.stringify(metered));
  return metered.link;
}

describe('the measurement of a link', () => {
  for (const [mbit, roundTripMs] of [
    [10, 40],
    [100, 10],
    [1000, 1],
    [10_000, 0.2],
  ] as const) {
    test(`the measurement finds ${mbit} Mbit/s with a round trip of ${roundTripMs} ms within its byte budget`, async () => {
      const { meter, state } = line(mbit * 125_000, roundTripMs);
      const link = measured(await meter.measure('b', signal));
      assert.ok(Math.abs(link.rate / (mbit * 125_000) - 1) < 0.15, String(link.rate));
      assert.ok(Math.abs((link.roundTripMs ?? 0) - roundTripMs) < 0.1);
      assert.ok(state.sent <= MAX_LINK_BYTES);
    });
  }

  test('the measurement never takes a long line for a slow one: it finds the rate or reports a lower bound', async () => {
    const lines = fc.record({
      mbit: fc.oneof(fc.integer({ min: 5, max: 1000 }), fc.constantFrom(1000, 10_000, 25_000)),
      roundTripMs: fc.oneof(
        fc.double({ min: 0.1, max: 250, noNaN: true }),
        fc.constantFrom(20, 70),
      ),
    });
    await fc.assert(
      fc.asyncProperty(lines, async ({ mbit, roundTripMs }) => {
        const { meter, state } = line(mbit * 125_000, roundTripMs);
        const { rate, isLeast } = measured(await meter.measure('b', signal));
        const share = rate / (mbit * 125_000);
        assert.ok(share < 1.2 && (share > 0.75 || isLeast === true), `${share} of it`);
        assert.ok(state.sent <= MAX_LINK_BYTES);
      }),
      // What was sent before it was as long as any left this line idle for a third of the time.
      { numRuns: 300, examples: [[{ mbit: 31, roundTripMs: 246.64073558377325 }]] },
    );
  });

  test('the measurement reports it if the agents, not the link, were too slow', async () => {
    for (const [here, there, isLeast] of [
      [0.1, 0.3, undefined],
      [0.9, 0.3, true],
      [0.1, 0.9, true],
    ] as const) {
      const { meter, works } = line(12_500_000, 1);
      Object.assign(works, { here, there });
      assert.equal(measured(await meter.measure('b', signal)).isLeast, isLeast);
    }
  });

  test('the measurement is kept for ten minutes and then repeated', async () => {
    const { meter, state, wait } = line(12_500_000, 1);
    const first = measured(await meter.measure('b', signal));
    const asked = state.questions;
    wait(LINK_KEPT_MS - 10_000);
    assert.equal(measured(await meter.measure('b', signal)), first);
    assert.equal(meter.known('b'), first);
    assert.equal(state.questions, asked);
    wait(20_000);
    assert.equal(meter.known('b'), undefined);
    measured(await meter.measure('b', signal));
    assert.ok(state.questions > asked);
  });

  test('the measurement is shared by all callers that ask at once', async () => {
    const { meter } = line(12_500_000, 1);
    const both = await Promise.all([meter.measure('b', signal), meter.measure('b', signal)]);
    assert.equal(both[0], both[1]);
  });

  test('the measurement is not made while either host has a migration under way, and the reason is given', async () => {
    const { meter, state } = line(12_500_000, 1);
    state.ownBusy = true;
    assert.match(JSON.stringify(await meter.measure('b', signal)), /a migration of this host/);
    assert.equal(state.questions, 0);
    Object.assign(state, { ownBusy: false, busy: 'a migration uses its link' });
    assert.match(JSON.stringify(await meter.measure('b', signal)), /b did not take/);
    assert.equal(state.questions, 1);
  });

  test('the measured rate is a possible rate, whatever the samples were', () => {
    const question = fc.record({
      atMs: fc.integer({ min: 0, max: 5000 }),
      bytes: fc.integer({ min: 0, max: MAX_PAD }),
    });
    fc.assert(
      fc.property(fc.array(question), (taken) => {
        const rate = rateOf(taken.toSorted((left, right) => left.atMs - right.atMs));
        assert.ok(Number.isSafeInteger(rate) && rate >= 0);
      }),
    );
  });
});

describe('the measured host', () => {
  const caller = (name: string) => ({ name, role: 'agent' }) as never;

  function host() {
    const state = { nowMs: 0, isUsed: false };
    const clock = { monotonicMs: () => state.nowMs } as never;
    return { state, answers: new LinkAnswers(clock, { usesLink: () => state.isUsed }) };
  }

  test('a measured host accepts one measurement of each host, and then no other for a while', () => {
    const { state, answers } = host();
    const pad = 'x'.repeat(MAX_PAD);
    const take = (name: string): number => {
      let taken = 0;
      while (answers.answer({ pad }, caller(name)).busy === undefined) taken += pad.length;
      return taken;
    };
    assert.ok(take('a') >= MAX_LINK_BYTES && take('b') >= MAX_LINK_BYTES);
    assert.equal(take('a'), 0);
    state.nowMs += LINK_KEPT_MS;
    assert.ok(take('a') <= MAX_LINK_BYTES + MAX_PAD);
  });

  test('a measured host counts empty questions as well', () => {
    const { answers } = host();
    let asked = 0;
    while (answers.answer({ pad: '' }, caller('a')).busy === undefined) asked += 1;
    assert.ok(asked < 100_000);
  });

  test('a measured host accepts no measurement while a migration is under way', () => {
    const { state, answers } = host();
    state.isUsed = true;
    assert.match(answers.answer({ pad: '' }, caller('a')).busy ?? '', /a migration/);
  });
});
