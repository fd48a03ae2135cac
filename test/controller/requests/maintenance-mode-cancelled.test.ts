import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { modeCallOf, type ModeHeard } from '../../../src/controller/requests/maintenance-mode.ts';
import { godwitError } from '../../../src/errors.ts';
import { asked, sight, stepOf, two } from './mode-worlds.ts';
import { drainOf, NOW } from './worlds.ts';

describe('cancelled drains under a manager', () => {
  test('a cancelled drain has the host in use again before it ends', () => {
    const begun = stepOf(asked(), { guests: two, heard: sight('entering') }).request;
    let { request } = stepOf(begun, { guests: two, cancel: 'let-run' });
    assert.equal(request.phase, 'cancelling');
    assert.equal(modeCallOf(request.maintenanceMode, 'let-run', NOW), 'leave');
    ({ request } = stepOf(request, { guests: two, cancel: 'let-run', heard: { of: 'silent' } }));
    assert.equal(request.phase, 'cancelling', 'nobody knows what the manager does');
    ({ request } = stepOf(request, { guests: two, cancel: 'let-run', heard: sight('out') }));
    assert.equal(request.phase, 'cancelled');
  });

  test('a drain whose order was answered, and whose answer was lost, counts the mode as its own', () => {
    const { request } = stepOf(asked(), { guests: two, heard: sight('in') });
    assert.equal(request.maintenanceMode?.found, false);
    const cancelled = stepOf(request, { guests: two, cancel: 'let-run' }).request;
    assert.equal(modeCallOf(cancelled.maintenanceMode, 'let-run', NOW), 'leave');
  });

  test('a host that was in the mode before stays in it', () => {
    const found = stepOf(drainOf('a'), {
      guests: two,
      heard: sight('entering'),
    }).request;
    const { request } = stepOf(found, { guests: two, cancel: 'let-run' });
    assert.equal(request.phase, 'cancelled');
    assert.match(request.words, /stays in maintenance mode/);
  });

  test('the mode is left alone if the drain is cancelled before its first order', () => {
    const looked: readonly (ModeHeard | undefined)[] = [
      undefined,
      { of: 'silent' },
      {
        of: 'refused',
        error: godwitError('GODWIT_DEADLINE', { what: 'x', deadlineMs: 1 }).toJSON(),
      },
    ];
    for (const heard of looked) {
      const first = stepOf(drainOf('a'), {
        guests: two,
        ...(heard === undefined ? {} : { heard }),
      });
      const { request } = stepOf(first.request, { guests: two, cancel: 'let-run' });
      assert.equal(modeCallOf(request.maintenanceMode, 'let-run', NOW), 'nothing');
      assert.equal(request.phase, 'cancelled');
    }
  });

  test('a cancelled drain ends the mode that it ordered, even if the first order seemed to be refused', () => {
    const error = godwitError('GODWIT_DEADLINE', { what: 'the order', deadlineMs: 1 }).toJSON();
    const refused = stepOf(asked(), { guests: two, heard: { of: 'refused', error } }).request;
    assert.equal(refused.maintenanceMode?.phase, 'wanted');
    const nowMs = NOW + 60_000;
    const begun = stepOf(refused, { guests: two, heard: sight('entering'), nowMs }).request;
    const { request } = stepOf(begun, { guests: two, cancel: 'let-run', nowMs });
    assert.equal(modeCallOf(request.maintenanceMode, 'let-run', nowMs), 'leave');
  });

  test('a drain stored by a controller of the previous build is judged by its phase', () => {
    const { asked: _asked, ...mode } = asked().maintenanceMode ?? assert.fail();
    const request = { ...drainOf('a'), maintenanceMode: mode };
    const cancelled = stepOf(request, { guests: two, cancel: 'let-run' }).request;
    assert.equal(modeCallOf(cancelled.maintenanceMode, 'let-run', NOW), 'leave');
  });
});
