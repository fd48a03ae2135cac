import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DestinationEvent } from '../../../src/migration/direct/destination/destination.ts';
import {
  destinationMayBeAsked,
  sourceMayBeAsked,
} from '../../../src/migration/direct/retention.ts';
import {
  initialSource,
  type SourceState,
} from '../../../src/migration/direct/source/source-state.ts';
import { ADMISSION, RECORDS } from '../../model/events.ts';
import { errorOf, planned } from './samples.ts';

const { state } = initialSource(planned());
const ended = (
  outcome: 'done' | 'failed' | 'cancelled' | 'held' | 'lost',
  more = {},
): SourceState => ({
  ...state,
  doing: { kind: 'end', outcome },
  ...more,
});
const admitted: DestinationEvent = { type: 'admitted', admission: ADMISSION, host: 'b' };
const armed = [admitted, RECORDS.preparing, RECORDS.prepared, RECORDS.armed0];
const running = [...armed, RECORDS.committed, RECORDS.running];

describe('retention of a migration', () => {
  test("a source migration is kept if it is held, lost, or closed without the destination's refusal", () => {
    for (const outcome of ['held', 'lost'] as const) {
      assert.equal(sourceMayBeAsked(ended(outcome)), true, outcome);
    }
    assert.equal(sourceMayBeAsked(ended('failed', { closedByProof: true })), true);
    assert.equal(sourceMayBeAsked(ended('cancelled', { leftovers: [errorOf()] })), true);
    assert.equal(sourceMayBeAsked(state), true);
  });

  test('a source migration is not kept once the destination has heard of the end', () => {
    for (const outcome of ['done', 'failed', 'cancelled'] as const) {
      assert.equal(sourceMayBeAsked(ended(outcome)), false, outcome);
    }
    assert.equal(sourceMayBeAsked(undefined), false);
  });

  test('a destination migration is kept if it ended without a request from the source', () => {
    assert.equal(destinationMayBeAsked([...running, { type: 'finished' }]), true);
    assert.equal(destinationMayBeAsked([...running, { type: 'finished', told: true }]), false);
    const refused = [...armed, RECORDS.refused];
    assert.equal(destinationMayBeAsked([...refused, { type: 'released', told: false }]), true);
    assert.equal(destinationMayBeAsked([...refused, { type: 'released', told: true }]), false);
    assert.equal(destinationMayBeAsked(armed), true);
  });

  test('a destination migration is not kept if the destination was never armed', () => {
    assert.equal(destinationMayBeAsked([admitted, { type: 'released' }]), false);
  });
});
