import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { HypervisorEvent } from '../../../src/migration/direct/hypervisor.ts';
import type { SourceEvent } from '../../../src/migration/direct/source/source-state.ts';
import { SWITCH_MS } from '../../../src/migration/prediction/parameters.ts';
import { rehearsalOf, standAfter, type Stand } from '../../../src/migration/report/rehearsal.ts';
import { planned, sampleOf } from '../direct/samples.ts';

const says = (type: 'stopped' | 'resumed' | 'active'): SourceEvent => ({
  type: 'hypervisor',
  event: { type } as HypervisorEvent,
});
const rehearsal = { plan: planned({ rehearse: true }), known: {} };

describe('the result of a rehearsal', () => {
  test('a migration has no rehearsal result', () => {
    assert.equal(rehearsalOf({ plan: planned(), known: {} }, sampleOf(), {}), undefined);
  });

  test('a rehearsal that did not reach a switch reports none', () => {
    assert.deepEqual(rehearsalOf(rehearsal, sampleOf(), {}), { maxDowntimeMs: 100 });
  });

  test("a rehearsal's downtime follows from the remaining memory, the link's rate and the devices", () => {
    const sample = sampleOf({ remainingBytes: 5_000_000, rate: 100_000_000 });
    const found = rehearsalOf({ ...rehearsal, cameTo: 'precopy' }, sample, { totalMs: 7 });
    const expectedDowntimeMs = 50 + SWITCH_MS;
    assert.deepEqual(found, {
      switches: 'precopy',
      expectedDowntimeMs,
      maxDowntimeMs: 100,
      stoodStillMs: 7,
    });
  });

  test("a rehearsal's downtime excludes pages that post-copy brings later", () => {
    const sample = sampleOf({ remainingBytes: 1 << 30, rate: 1_000_000 });
    const found = rehearsalOf({ ...rehearsal, cameTo: 'postcopy' }, sample, {});
    assert.ok((found?.expectedDowntimeMs ?? Infinity) < 100);
  });

  test('a rehearsal reports no downtime if the driver has additional work at the switch', () => {
    const state = { ...rehearsal, known: { handsOverMs: 40_000 }, cameTo: 'precopy' } as const;
    const found = rehearsalOf(state, sampleOf({ remainingBytes: 5_000_000 }), { totalMs: 7 });
    assert.deepEqual(found, { switches: 'precopy', maxDowntimeMs: 100, stoodStillMs: 7 });
  });

  test('a rehearsal reports no figure that was not measured', () => {
    const found = rehearsalOf({ ...rehearsal, cameTo: 'precopy' }, undefined, {});
    assert.deepEqual(found, { switches: 'precopy', maxDowntimeMs: 100 });
  });

  test("a rehearsal's downtime is never negative or infinite", () => {
    const figure = fc.nat(2 ** 31);
    fc.assert(
      fc.property(
        figure,
        figure,
        figure,
        figure,
        (remainingBytes, rate, transferredBytes, totalMs) => {
          const sample = sampleOf({ remainingBytes, rate, transferredBytes, totalMs });
          const found = rehearsalOf({ ...rehearsal, cameTo: 'precopy' }, sample, {});
          const expected = found?.expectedDowntimeMs ?? 0;
          assert.ok(expected >= 0 && Number.isSafeInteger(expected));
        },
      ),
      { examples: [[4_327_510, 0, 1, 2_081_381_500]] },
    );
  });
});

describe('the pause of a guest', () => {
  const walk = (events: readonly (readonly [SourceEvent, number])[]): Stand =>
    events.reduce<Stand>((stand, [event, at]) => standAfter(stand, event, at), {});

  test('the pause of a guest is the sum of each stop to the resume that follows it', () => {
    const stand = walk([
      [says('active'), 5],
      [says('stopped'), 10],
      [says('stopped'), 12],
      [says('resumed'), 17],
      [says('resumed'), 18],
      [says('stopped'), 20],
      [says('resumed'), 23],
    ]);
    assert.equal(stand.totalMs, 10);
  });

  test('the pause is unknown for a guest that was never stopped', () => {
    assert.equal(walk([[says('resumed'), 3]]).totalMs, undefined);
  });
});
