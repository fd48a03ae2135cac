import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DestinationEvent } from '../../../src/migration/direct/destination.ts';
import {
  destinationMayBeAsked,
  sourceMayBeAsked,
} from '../../../src/migration/direct/retention.ts';
import { initialSource, type SourceState } from '../../../src/migration/direct/source-state.ts';
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

describe('a migration about which the other host may still ask', () => {
  test('is at its source one that is held or lost, or that was closed without the destination’s refusal', () => {
    for (const outcome of ['held', 'lost'] as const) {
      assert.equal(sourceMayBeAsked(ended(outcome)), true, outcome);
    }
    assert.equal(sourceMayBeAsked(ended('failed', { closedByProof: true })), true);
    assert.equal(sourceMayBeAsked(ended('cancelled', { leftovers: [errorOf()] })), true);
    assert.equal(sourceMayBeAsked(state), true);
  });

  test('is none at a source of which the destination has heard the end', () => {
    for (const outcome of ['done', 'failed', 'cancelled'] as const) {
      assert.equal(sourceMayBeAsked(ended(outcome)), false, outcome);
    }
    assert.equal(sourceMayBeAsked(undefined), false);
  });

  test('is at its destination one that ended without the source having asked for it', () => {
    assert.equal(destinationMayBeAsked([...running, { type: 'finished' }]), true);
    assert.equal(destinationMayBeAsked([...running, { type: 'finished', told: true }]), false);
    const refused = [...armed, RECORDS.refused];
    assert.equal(destinationMayBeAsked([...refused, { type: 'released', told: false }]), true);
    assert.equal(destinationMayBeAsked([...refused, { type: 'released', told: true }]), false);
    assert.equal(destinationMayBeAsked(armed), true);
  });

  test('is none at a destination that was never armed', () => {
    assert.equal(destinationMayBeAsked([admitted, { type: 'released' }]), false);
  });
});
