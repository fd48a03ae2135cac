import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  destinationAfter,
  initialDestination,
  type DestinationEvent,
  type DestinationState,
} from '../../../src/migration/direct/destination.ts';
import { afterSourceEnd, leaseMs, onSilence } from '../../../src/migration/direct/silence.ts';
import { planned, preparationOf } from './samples.ts';

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

describe('a destination whose source is silent', () => {
  test('releases what it holds as long as the source has a whole copy', () => {
    assert.equal(onSilence(after()), 'release');
    assert.equal(onSilence(after(...PREPARED)), 'release');
    assert.equal(onSilence(after(...PREPARED, says('completed'))), 'release');
    assert.equal(onSilence(after(...PREPARED, LOST)), 'release');
  });

  test('keeps what post-copy has brought: it may be all there is of the guest', () => {
    assert.equal(onSilence(after(...PREPARED, says('postcopy-active'))), 'wait');
    const whole = [says('postcopy-active'), says('completed')];
    assert.equal(onSilence(after(...PREPARED, ...whole)), 'wait');
    assert.equal(onSilence(after(...PREPARED, says('postcopy-active'), LOST)), 'release');
  });

  test('settles a guest that runs and has all its memory, and no other', () => {
    assert.equal(onSilence(after(...PREPARED, says('completed'), ...RUNNING)), 'finish');
    const thin = [...PREPARED, says('postcopy-active'), ...RUNNING];
    assert.equal(onSilence(after(...thin)), 'wait');
    assert.equal(onSilence(after(...thin, says('completed'))), 'finish');
  });

  test('takes down what is left of a guest that ended here', () => {
    assert.equal(onSilence(after(...PREPARED, says('completed'), ...RUNNING, LOST)), 'tear-down');
  });

  test('does nothing once all is over', () => {
    assert.equal(onSilence(after({ type: 'released' })), 'wait');
    assert.equal(onSilence(after(...PREPARED, ...RUNNING, { type: 'finished' })), 'wait');
  });
});

describe('a destination that hears how the migration ended at its source', () => {
  const whole = after(...PREPARED, says('completed'), ...RUNNING);
  const thin = after(...PREPARED, says('postcopy-active'), ...RUNNING);

  test('releases what a failed or cancelled one has left, and never a guest that runs', () => {
    for (const phase of ['failed', 'cancelled'] as const) {
      assert.equal(afterSourceEnd(after(...PREPARED), phase), 'release');
      assert.equal(afterSourceEnd(whole, phase), 'wait');
      assert.equal(afterSourceEnd(thin, phase), 'wait');
    }
  });

  test('takes down what lacks memory that is lost, and keeps a guest that is whole', () => {
    assert.equal(afterSourceEnd(thin, 'lost'), 'tear-down');
    assert.equal(afterSourceEnd(whole, 'lost'), 'wait');
    assert.equal(afterSourceEnd(after(...PREPARED), 'lost'), 'release');
  });

  test('settles a guest that arrived', () => {
    assert.equal(afterSourceEnd(whole, 'done'), 'finish');
    assert.equal(afterSourceEnd(thin, 'done'), 'wait');
  });

  test('waits while it goes on, and where a person must decide', () => {
    for (const phase of ['memory', 'handover', 'held', 'undoing'] as const) {
      assert.equal(afterSourceEnd(after(...PREPARED), phase), 'wait');
    }
  });
});

test('silence means something sooner where nothing rests on the destination', () => {
  const armed = leaseMs(after(...PREPARED), 180_000);
  assert.equal(armed, 180_000);
  assert.ok(leaseMs(after(), 180_000) < armed);
  const ended = after(...PREPARED, says('completed'), ...RUNNING, LOST);
  assert.ok(leaseMs(ended, 180_000) < armed);
});

test('the configured silence of a source is the longest that a destination waits for', () => {
  assert.equal(leaseMs(after(...PREPARED), 10_000), 10_000);
  assert.equal(leaseMs(after(), 10_000), 10_000);
});
