import assert from 'node:assert/strict';
import { test } from 'node:test';
import { managedSettings } from '../../../src/mover/managed/settings.ts';
import { managedMoverRequest } from '../../../src/protocol/mover/request.ts';
import { REQUEST } from './trial.ts';

const NOON = new Date(2026, 10, 2, 12).getTime();
const MORNING = { bandwidth: [{ hours: '08:00-12:30', bytesPerS: 70_000 }] };

const asked = (request: object, more: object = {}) =>
  managedMoverRequest.parse({
    ...REQUEST,
    createdAt: new Date(NOON).toISOString(),
    request: { guest: 'web1', to: 'b', ...request },
    ...more,
  });
const cap = (request: object, more?: object, keepsCap = true): number | undefined =>
  managedSettings(asked(request, more), MORNING, keepsCap).maxBandwidth;

test('a managed migration keeps the cap of its start throughout', () => {
  assert.equal(cap({}), 70_000);
  assert.equal(cap({ noticeMs: 3_600_000 }), undefined);
  assert.equal(cap({ notBefore: new Date(NOON + 3_600_000).toISOString() }), undefined);
});

test("the lowest of the migration's cap, its share of the link and the timetable counts", () => {
  assert.equal(cap({ maxBandwidth: 50_000 }), 50_000);
  assert.equal(cap({ maxBandwidth: 90_000 }, { linkShareBandwidth: 60_000 }), 60_000);
});

test('a manager that keeps to no cap gets none from the timetable', () => {
  assert.equal(cap({}, {}, false), undefined);
  assert.equal(cap({}, { linkShareBandwidth: 60_000 }, false), 60_000);
});
