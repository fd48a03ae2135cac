import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  LinkPeak,
  outpacingRate,
  type AfterFirstRound,
} from '../../../src/migration/steering/write-rate.ts';
import { afterRound } from '../../../src/migration/steering/trace.ts';
import { sampleOf } from '../direct/samples.ts';
import { courses, writesOf, type Course } from './simulated.ts';

const MIB = 1024 ** 2;
const LINK = 10 * MIB;

/** 52 MiB are written over and over, three times as fast as the link carries them. */
const BUSY: Course = {
  memoryBytes: 256 * MIB,
  workingSetBytes: 52 * MIB,
  dirtyRate: 3 * LINK,
  linkRate: LINK,
  maxDowntimeMs: 300,
  timeoutMs: 60_000,
  levers: [],
};

const within = ({ workingSetBytes: set, dirtyRate }: Course, ms: number): number =>
  set === 0 ? 0 : set * (1 - Math.exp((-dirtyRate * (ms / 1000)) / set));

/** As the second round begins, after a first one that sent all of memory. */
function seen(course: Course, writes = writesOf(course)): AfterFirstRound {
  const tookMs = (course.memoryBytes / course.linkRate) * 1000;
  const sample = sampleOf({
    round: 2,
    rate: course.linkRate,
    transferredBytes: course.memoryBytes,
    totalMs: Math.round(tookMs),
    remainingBytes: Math.round(within(course, tookMs)),
  });
  const { maxDowntimeMs } = course;
  return { sample, trace: afterRound(undefined, sample), settings: { maxDowntimeMs }, writes };
}

describe('a guest sampled in the first round', () => {
  test('a guest outpaces the link if it writes faster within a window longer than the longest downtime', () => {
    const rate = outpacingRate(seen(BUSY));
    assert.ok(rate !== undefined && rate > 2 * LINK && rate <= 3 * LINK, String(rate));
    assert.equal(outpacingRate(seen({ ...BUSY, dirtyRate: LINK / 2 })), undefined);
  });

  test('a guest does not outpace the link by a sample shorter than the longest downtime, or without one', () => {
    const { curve, ...sample } = writesOf(BUSY);
    const short = { ...sample, curve: curve.filter(({ windowMs }) => windowMs < 2000) };
    assert.equal(outpacingRate(seen({ ...BUSY, maxDowntimeMs: 2000 }, short)), undefined);
    assert.equal(outpacingRate(seen(BUSY, { ...sample, curve: [] })), undefined);
    assert.equal(outpacingRate({ ...seen(BUSY), writes: undefined }), undefined);
  });

  test('a guest gets one more round if that leaves much less', () => {
    // All of its memory once in a minute, and a little of it fast.
    const curve = [
      { windowMs: 1000, dirtyBytes: 11 * MIB },
      { windowMs: 3000, dirtyBytes: 14 * MIB },
    ];
    const writes = { ...writesOf(BUSY), curve };
    assert.equal(outpacingRate(seen({ ...BUSY, workingSetBytes: 60 * MIB }, writes)), undefined);
  });

  test("a sampled rate counts for no more than the round's remainder: the guest may have stopped writing", () => {
    const { sample, trace, ...rest } = seen(BUSY);
    assert.ok(trace !== undefined);
    const quiet = { ...trace, remainingBytes: 2 * MIB };
    assert.equal(outpacingRate({ ...rest, sample, trace: quiet }), undefined);
  });

  test('a guest does not outpace the link because of a handful of sampled pages', () => {
    const pages = (count: number) => ({ ...writesOf(BUSY), pages: count });
    // Of 16 pages two change in a second.
    assert.equal(outpacingRate(seen(BUSY, pages(16))), undefined);
    assert.ok(outpacingRate(seen(BUSY, pages(1024))) !== undefined);
  });

  test('a guest does not outpace the link because of one look during a short stall', () => {
    const { sample, ...rest } = seen({ ...BUSY, dirtyRate: LINK / 2 });
    const slow = { ...sample, rate: MIB };
    const peak = new LinkPeak();
    for (let second = 0; second < 20; second += 1) {
      // Zeros at the beginning and at the end of memory: next to nothing is sent for them.
      const sent = Math.min(Math.max(0, second - 5), 10) * LINK;
      for (const ms of [0, 200, 400, 600, 800])
        peak.saw({ totalMs: second * 1000 + ms, transferredBytes: sent + (ms / 1000) * LINK });
    }
    const linkRate = peak.bytesPerS ?? 0;
    assert.ok(linkRate >= LINK && linkRate < 2 * LINK, String(linkRate));
    const writes = { ...writesOf({ ...BUSY, dirtyRate: LINK / 2 }), linkRate };
    assert.equal(outpacingRate({ ...rest, sample: slow, writes }), undefined);
    assert.ok(
      outpacingRate({ ...rest, sample: slow }) !== undefined,
      'by that look alone it would',
    );
  });

  test('a guest has an unknown link rate before a second is over', () => {
    const peak = new LinkPeak();
    peak.saw({ totalMs: 5000, transferredBytes: 9 * MIB });
    peak.saw({ totalMs: 5900, transferredBytes: 12 * MIB });
    assert.equal(peak.bytesPerS, undefined);
    peak.saw({ totalMs: 6000, transferredBytes: 13 * MIB });
    assert.equal(peak.bytesPerS, 4 * MIB);
  });

  test('a guest is found to outpace the link only at the start of the second round', () => {
    const { sample, trace, ...rest } = seen(BUSY);
    for (const round of [1, 3])
      assert.equal(outpacingRate({ ...rest, sample: { ...sample, round }, trace }), undefined);
  });

  test('a guest that outpaces the link never fits into the longest downtime after one more round', () => {
    fc.assert(
      fc.property(courses, (course) => {
        fc.pre(outpacingRate(seen(course)) !== undefined);
        let left = within(course, (course.memoryBytes / course.linkRate) * 1000);
        for (let round = 2; round < 60; round += 1) {
          const ms = (left / course.linkRate) * 1000;
          assert.ok(ms > course.maxDowntimeMs, `round ${round}: ${ms} ms`);
          left = within(course, ms);
        }
      }),
      { numRuns: 300 },
    );
  });
});
