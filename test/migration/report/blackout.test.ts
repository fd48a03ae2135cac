import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { blackoutParts, marksAfter, type Marks } from '../../../src/migration/report/blackout.ts';
import type { SourceEvent } from '../../../src/migration/direct/source/source-state.ts';
import { anyEvent } from '../direct/events.ts';

const hypervisor = (type: 'stopped' | 'resumed' | 'device' | 'completed'): SourceEvent => {
  return { type: 'hypervisor', event: { type } };
};
const running = { epoch: 1, runningAt: '', resumeMs: 4 };
const committed: SourceEvent = { type: 'did', step: 'commit', facts: { running } };

function marksOf(reported: readonly (readonly [SourceEvent, number])[]): Marks {
  return reported.reduce((marks, [event, at]) => marksAfter(marks, event, at), {});
}

describe('the parts of a blackout', () => {
  test('the parts of a blackout run from the stop to the resume, in order', () => {
    const marks = marksOf([
      [hypervisor('stopped'), 100],
      [hypervisor('device'), 102],
      [hypervisor('completed'), 150],
      [committed, 163],
    ]);
    assert.deepEqual(blackoutParts(marks), [
      { part: 'stop', ms: 2 },
      { part: 'state', ms: 48 },
      { part: 'commit', ms: 9 },
      { part: 'resume', ms: 4 },
    ]);
  });

  test('the parts of a blackout belong to the switch that succeeded', () => {
    const marks = marksOf([
      [hypervisor('stopped'), 10],
      [hypervisor('device'), 20],
      [hypervisor('resumed'), 30],
      [hypervisor('stopped'), 100],
      [hypervisor('completed'), 140],
      [committed, 150],
      [hypervisor('completed'), 900],
    ]);
    assert.deepEqual(
      blackoutParts(marks).map(({ ms }) => ms),
      [0, 40, 6, 4],
    );
  });

  test('a blackout has no parts if the guest never ran at the destination', () => {
    assert.deepEqual(blackoutParts(marksOf([[hypervisor('stopped'), 10]])), []);
    assert.deepEqual(blackoutParts(marksOf([[committed, 10]])), []);
  });

  test('the parts of a blackout add up to it, whatever is reported in whatever order', () => {
    const reported = fc.array(fc.tuple(anyEvent, fc.nat(100)), { maxLength: 30 });
    fc.assert(
      fc.property(reported, (events) => {
        const marks = marksOf(events);
        const parts = blackoutParts(marks);
        assert.ok(parts.every(({ ms }) => ms >= 0));
        const sum = parts.reduce((total, { ms }) => total + ms, 0);
        const { stopped, ran } = marks;
        if (parts.length > 0 && stopped !== undefined && ran !== undefined)
          assert.equal(sum, ran - stopped);
      }),
    );
  });
});
