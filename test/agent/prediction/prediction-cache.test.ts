import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PredictionCache } from '../../../src/agent/prediction/prediction-cache.ts';
import type { GuestHandle } from '../../../src/protocol/mover/handle.ts';
import { migrationRequest } from '../../../src/protocol/public/migration.ts';

test('a prediction belongs to one request, is used once, and expires', () => {
  const state = { nowMs: 0 };
  const kept = new PredictionCache({ monotonicMs: () => state.nowMs });
  const request = migrationRequest.parse({ guest: 'web1', to: 'b' });
  const found = { level: 0.8 } as never;
  const lives = (pid: number) => ({ driver: 'qemu', name: 'web1', pid });
  const handle: GuestHandle = lives(7);
  kept.keep(request, handle, found);
  assert.equal(kept.take({ ...request, maxDowntimeMs: 200 }, handle), undefined);
  assert.equal(kept.take(request, lives(8)), undefined, 'it was started anew');
  assert.equal(kept.take(request, handle), found);
  assert.equal(kept.take(request, handle), undefined);
  kept.keep(request, undefined, found);
  kept.keep(request, handle, found);
  state.nowMs += 3_600_000;
  assert.equal(kept.take(request, handle), undefined);
  for (let index = 0; index < 1000; index += 1)
    kept.keep({ ...request, guest: `g${index}` }, handle, found);
  assert.equal(kept.take({ ...request, guest: 'g0' }, handle), undefined);
  assert.equal(kept.take({ ...request, guest: 'g999' }, handle), found);
});

test('a prediction under another cap for the time of day is a different one', () => {
  let maxBandwidth: number | undefined;
  const kept = new PredictionCache({ monotonicMs: () => 0 }, (each) => ({ ...each, maxBandwidth }));
  const request = migrationRequest.parse({ guest: 'web1', to: 'b' });
  const handle = { driver: 'qemu', name: 'web1' };
  const found = { level: 0.8 } as never;
  kept.keep(request, handle, found);
  maxBandwidth = 70_000;
  assert.equal(kept.take(request, handle), undefined);
  maxBandwidth = undefined;
  assert.equal(kept.take(request, handle), found);
});

test('a deadline typed as a duration moves with each request, and the request stays the same', () => {
  const state = { nowMs: 0 };
  const kept = new PredictionCache({ monotonicMs: () => state.nowMs });
  const handle = { driver: 'qemu', name: 'web1' };
  const at = (second: number, deadlineAt: string | undefined = `2026-01-01T00:00:0${second}Z`) =>
    migrationRequest.parse({ guest: 'web1', to: 'b', ...(deadlineAt && { deadlineAt }) });
  const found = { level: 0.8 } as never;
  kept.keep(at(0), handle, found);
  assert.equal(kept.take(at(0, ''), handle), undefined);
  assert.equal(kept.take(at(9), handle), undefined, 'another deadline');
  state.nowMs = 9000;
  assert.equal(kept.take(at(9), handle), found);
  // The plan took 7 s.
  state.nowMs = 20_000;
  kept.keep(at(3), handle, found, 13_000);
  state.nowMs = 18_000 + 1000;
  assert.equal(kept.take(at(9), handle), found);
  kept.keep(at(0), handle, found);
  state.nowMs = 60_000;
  assert.equal(kept.take(at(0), handle), found, 'the very same moment');
});
