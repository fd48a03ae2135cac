import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  destinationAfter,
  initialDestination,
  type DestinationEvent,
  type DestinationState,
} from '../../../../src/migration/direct/destination/destination.ts';
import {
  afterSourceEnd,
  leaseMs,
  onSilence,
} from '../../../../src/migration/direct/destination/silence.ts';
import { planned, preparationOf } from '../samples.ts';

const plan = planned();
const { id, guest, from, epoch } = plan;
const handle = { driver: 'fake', name: guest, pid: 2, startTicks: 1, monitor: 'm' };

const PREPARED: DestinationEvent[] = [
  { type: 'preparing', preparation: preparationOf(plan), ports: {} },
  { type: 'prepared', handle, memoryAddress: 'b:49152' },
  { type: 'armed', epoch, bootId: 'boot-1' },
];
const RUNNING: DestinationEvent[] = [
  { type: 'committed', epoch },
  { type: 'running', epoch, resumeMs: 1 },
];
const says = (type: 'completed' | 'postcopy-active'): DestinationEvent => ({
  type: 'hypervisor',
  event: { type },
});
const LOST: DestinationEvent = { type: 'hypervisor', event: { type: 'lost', reason: 'killed' } };

function after(...events: DestinationEvent[]): DestinationState {
  const admission = { id, guest, from, epoch, memoryBytes: 1, timeoutMs: 1000 };
  const first = initialDestination({ type: 'admitted', admission, host: 'b' });
  return events.reduce(destinationAfter, first);
}

describe('a destination with a silent source', () => {
  test('a destination with a silent source releases its copy as long as the source has a whole copy', () => {
    assert.equal(onSilence(after()), 'release');
    assert.equal(onSilence(after(...PREPARED)), 'release');
    assert.equal(onSilence(after(...PREPARED, says('completed'))), 'release');
    assert.equal(onSilence(after(...PREPARED, LOST)), 'release');
  });

  test('a destination with a silent source keeps post-copy memory, which may be all there is of the guest', () => {
    assert.equal(onSilence(after(...PREPARED, says('postcopy-active'))), 'wait');
    const whole = [says('postcopy-active'), says('completed')];
    assert.equal(onSilence(after(...PREPARED, ...whole)), 'wait');
    assert.equal(onSilence(after(...PREPARED, says('postcopy-active'), LOST)), 'release');
  });

  test('a destination with a silent source settles only a running guest with all its memory', () => {
    assert.equal(onSilence(after(...PREPARED, says('completed'), ...RUNNING)), 'finish');
    const thin = [...PREPARED, says('postcopy-active'), ...RUNNING];
    assert.equal(onSilence(after(...thin)), 'wait');
    assert.equal(onSilence(after(...thin, says('completed'))), 'finish');
  });

  test('a destination with a silent source removes the remains of a guest that ended here', () => {
    assert.equal(onSilence(after(...PREPARED, says('completed'), ...RUNNING, LOST)), 'tear-down');
  });

  test('a destination does nothing about a silent source once the migration is over', () => {
    assert.equal(onSilence(after({ type: 'released' })), 'wait');
    assert.equal(onSilence(after(...PREPARED, ...RUNNING, { type: 'finished' })), 'wait');
  });
});

describe('a destination after the end at its source', () => {
  const whole = after(...PREPARED, says('completed'), ...RUNNING);
  const thin = after(...PREPARED, says('postcopy-active'), ...RUNNING);

  test('a failed or canceled migration releases its remains at the destination, never a running guest', () => {
    for (const phase of ['failed', 'cancelled'] as const) {
      assert.equal(afterSourceEnd(after(...PREPARED), phase), 'release');
      assert.equal(afterSourceEnd(whole, phase), 'wait');
      assert.equal(afterSourceEnd(thin, phase), 'wait');
    }
  });

  test('a lost migration removes a copy with missing memory at the destination, and keeps a whole guest', () => {
    assert.equal(afterSourceEnd(thin, 'lost'), 'tear-down');
    assert.equal(afterSourceEnd(whole, 'lost'), 'wait');
    assert.equal(afterSourceEnd(after(...PREPARED), 'lost'), 'release');
  });

  test('a finished migration settles the guest that arrived at the destination', () => {
    assert.equal(afterSourceEnd(whole, 'done'), 'finish');
    assert.equal(afterSourceEnd(thin, 'done'), 'wait');
  });

  test('the destination waits while the migration continues, or while an operator must decide', () => {
    for (const phase of ['memory', 'handover', 'held', 'undoing'] as const) {
      assert.equal(afterSourceEnd(after(...PREPARED), phase), 'wait');
    }
  });
});

test('silence takes effect sooner if nothing depends on the destination', () => {
  const armed = leaseMs(after(...PREPARED), 180_000);
  assert.equal(armed, 180_000);
  assert.ok(leaseMs(after(), 180_000) < armed);
  const ended = after(...PREPARED, says('completed'), ...RUNNING, LOST);
  assert.ok(leaseMs(ended, 180_000) < armed);
});

test('the destination waits at most for the configured silence of a source', () => {
  assert.equal(leaseMs(after(...PREPARED), 10_000), 10_000);
  assert.equal(leaseMs(after(), 10_000), 10_000);
});
