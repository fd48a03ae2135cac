import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelsOf, workloadOf } from '../../src/agent/workload.ts';

const now = { cores: 1, at: '2026-05-01T00:00:00Z', overMs: 60_000 };
const known = {
  labels: { of: () => ({ 'godwit/max-downtime': '60ms' }) },
  guestLoads: { of: () => ({ now, hours: [] }) },
  links: {
    now: (to: string) => ({ rate: to === 'b' ? 5 : 7, how: 'measured', isLeast: to === 'c' }),
  },
} as unknown as Parameters<typeof workloadOf>[0];

test('what a guest does, what its owner allows, and what the link is known to carry at most', () => {
  const all = workloadOf(known, { guest: 'web1', to: 'b' });
  assert.deepEqual(all, { load: now, ownersDowntimeMs: 60, linkRate: 5 });
  assert.equal(workloadOf(known, { guest: 'web1', to: 'c' }).linkRate, undefined);
});

test('no reports are read for a guest of which nobody knows what it does', () => {
  const links = { now: () => assert.fail('reports were read') };
  const { guestLoads: _none, ...rest } = known;
  const found = workloadOf({ ...rest, links }, { guest: 'web1', to: 'b' });
  assert.deepEqual([found.load, found.linkRate], [undefined, undefined]);
});

test('labels that make no sense are none', () => {
  assert.equal(labelsOf({ labels: { of: () => ({ 'godwit/strange': 'x' }) } }, 'web1'), undefined);
  assert.equal(labelsOf({}, 'web1'), undefined);
});
