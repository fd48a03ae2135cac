import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Gap } from '../../../src/network/probe/gap.ts';

const INTERVAL_MS = 10;

describe('the gap of a watched guest', () => {
  test("a guest's gap is the longest time between two answers, at any place", () => {
    const pauses = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(pauses, (waits) => {
        const gap = new Gap(0, INTERVAL_MS);
        let now = 0;
        for (const wait of waits) gap.answer((now += wait), 1);
        const { gapMs, gapFromMs = -1, isOpen, answered } = gap.read(now);
        assert.equal(gapMs, Math.max(...waits));
        assert.equal(isOpen, false);
        assert.equal(answered, waits.length);
        const ends = waits.reduce<number[]>((all, wait) => [...all, (all.at(-1) ?? 0) + wait], [0]);
        assert.ok(ends.includes(gapFromMs) && ends.includes(gapFromMs + gapMs));
      }),
    );
  });

  test('a gap that still lasts counts once it is longer than all before, and is reported as open', () => {
    const gap = new Gap(0, INTERVAL_MS);
    gap.answer(100, 1);
    assert.deepEqual(pick(gap, 150), { gapMs: 100, isOpen: false });
    assert.deepEqual(pick(gap, 199), { gapMs: 100, isOpen: false });
    assert.deepEqual(pick(gap, 700), { gapMs: 600, isOpen: true });
    gap.answer(900, 1);
    assert.deepEqual(pick(gap, 901), { gapMs: 800, isOpen: false });
  });

  test("a guest's gap is polled once each interval, and rarely in a long silence", () => {
    const gap = new Gap(0, INTERVAL_MS);
    let sent = 0;
    for (let now = 0; now < 500; now += 5) if (gap.tick(now)) sent += 1;
    assert.equal(sent, 50);
    // A minute without an answer: some hundreds of probes and not six thousand.
    for (let now = 500; now < 60_000; now += 5) if (gap.tick(now)) sent += 1;
    assert.ok(sent > 400 && sent < 650, String(sent));
    gap.answer(60_000, 1);
    const before = sent;
    for (let now = 60_000; now < 60_100; now += 5) if (gap.tick(now)) sent += 1;
    assert.equal(sent - before, 10);
  });

  test("a guest's gap comes with the time that the watch itself stalled", () => {
    const gap = new Gap(0, INTERVAL_MS);
    for (const now of [5, 10, 320, 325]) gap.tick(now);
    assert.equal(gap.read(325).ownStallMs, 310);
  });

  test('a gap around one moment is never longer than the longest of all', () => {
    const pauses = fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 20 });
    const more = fc.integer({ min: 0, max: 400 });
    fc.assert(
      fc.property(pauses, more, more, more, (waits, late, from, length) => {
        const gap = new Gap(0, INTERVAL_MS);
        let now = 0;
        for (const wait of waits) gap.answer((now += wait), 1);
        const window = { fromMs: from, toMs: from + length };
        const { near = 0, gapMs } = gap.read(now + late, window);
        assert.ok(near <= gapMs, `${near} of ${gapMs}`);
      }),
    );
  });

  test('a gap is reported around one moment only, if no more is known', () => {
    const gap = new Gap(0, INTERVAL_MS);
    for (const now of [10, 400, 410, 420, 500, 510]) gap.answer(now, 1);
    const near = (fromMs: number, toMs: number) => gap.read(511, { fromMs, toMs }).near;
    assert.equal(near(430, 440), 80);
    assert.equal(near(405, 406), 10);
    assert.equal(near(390, 440), 390);
    // Before the watch, and after it.
    assert.equal(near(-5, 440), undefined);
    assert.equal(near(600, 700), undefined);
    for (let now = 520; now < 400_000; now += 10) gap.answer(now, 1);
    assert.equal(gap.read(400_000, { fromMs: 430, toMs: 440 }).near, undefined);
    assert.equal(gap.read(400_000, { fromMs: 399_000, toMs: 399_500 }).near, 10);
  });

  test('a guest has no gap before a second answer', () => {
    const gap = new Gap(0, INTERVAL_MS);
    assert.deepEqual(pick(gap, 5), { gapMs: 0, isOpen: false });
    assert.equal(gap.read(5).gapFromMs, undefined);
    gap.answer(7, 0);
    assert.equal(gap.read(8).answered, 0);
  });
});

function pick(gap: Gap, now: number): { gapMs: number; isOpen: boolean } {
  const { gapMs, isOpen } = gap.read(now);
  return { gapMs, isOpen };
}
