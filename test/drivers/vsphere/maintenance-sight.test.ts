import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENTERING, LEAVING, sightOfHost } from '../../../src/drivers/vsphere/maintenance-sight.ts';
import type { Fault } from '../../../src/drivers/vsphere/soap.ts';

const detail = { name: 'fault', attributes: {}, children: [], text: '' };
const fault = (type: string): Fault => ({ type, message: 'words', detail });
const task = (
  kind: string,
  state: 'queued' | 'running' | 'success' | 'error',
  at = 1,
  type = 'Timedout',
) => ({
  kind,
  state,
  queuedMs: at,
  fault: state === 'error' ? fault(type) : undefined,
});

test('a host is in the mode by its own report, and on its way by its tasks', () => {
  assert.deepEqual(sightOfHost(true, []), { state: 'in' });
  assert.deepEqual(sightOfHost(true, [task(LEAVING, 'running')]), { state: 'leaving' });
  assert.deepEqual(sightOfHost(false, []), { state: 'out' });
  assert.deepEqual(sightOfHost(false, [task(ENTERING, 'queued')]), { state: 'entering' });
  assert.deepEqual(sightOfHost(false, [task('VirtualMachine.migrate', 'running')]), {
    state: 'out',
  });
});

test('the failure of the last attempt is reported, and whether a person cancelled it', () => {
  const seen = sightOfHost(false, [task(ENTERING, 'success', 1), task(ENTERING, 'error', 2)]);
  assert.deepEqual(seen, {
    state: 'out',
    failed: { reason: 'words (Timedout)', cancelled: false },
  });
  const cancelled = sightOfHost(false, [task(ENTERING, 'error', 2, 'RequestCanceled')]);
  assert.equal(cancelled.failed?.cancelled, true);
  // It was in the mode since, and left it again.
  const since = sightOfHost(false, [task(ENTERING, 'error', 1), task(ENTERING, 'success', 2)]);
  assert.deepEqual(since, { state: 'out' });
});
