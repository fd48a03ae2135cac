import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelsOf, withWorkload, workloadOf } from '../../../src/agent/guests/workload.ts';
import { systemClock } from '../../../src/clock.ts';
import { migrationRequest } from '../../../src/protocol/public/migration.ts';

const now = { cores: 1, at: '2026-05-01T00:00:00Z', overMs: 60_000 };
const known = {
  labels: { of: () => ({ 'godwit/max-downtime': '60ms', 'godwit/realtime': 'true' }) },
  guestLoads: {
    of: () => ({ now, hours: [{ dirtyBytesPerS: 9 }, { dirtyBytesPerS: 3 }, { cores: 1 }] }),
  },
  links: {
    now: (to: string) => ({ rate: to === 'b' ? 5 : 7, how: 'measured', isLeast: to === 'c' }),
  },
  clock: systemClock,
  config: { limits: { bandwidth: [] } },
} as unknown as Parameters<typeof workloadOf>[0];
const asked = (to: string) => migrationRequest.parse({ guest: 'web1', to });

test("the workload has the guest's activity, its owner's limits, and the link's known maximum rate", () => {
  const request = asked('b');
  const all = workloadOf(known, request);
  const owners = { ownersDowntimeMs: 60, isRealtime: true };
  const found = { load: now, dirtyBytesPerS: 3, ...owners, linkRate: 5, settings: request };
  assert.deepEqual(all, found);
  assert.equal(workloadOf(known, asked('c')).linkRate, undefined);
});

test("a host's lower limit for the time of day applies", () => {
  const bandwidth = [{ hours: '00:00-24:00', bytesPerS: 70_000 }];
  const { settings } = workloadOf({ ...known, config: { limits: { bandwidth } } }, asked('b'));
  assert.equal(settings.maxBandwidth, 70_000);
});

test('old writes of a guest, and writes from before its absence, do not count for the present', () => {
  const of = (hours: object[], seen: object = { now }) =>
    workloadOf({ ...known, guestLoads: { of: () => ({ ...seen, hours }) } } as never, asked('b'))
      .dirtyBytesPerS;
  assert.equal(of([{ dirtyBytesPerS: 9 }, {}]), 9);
  assert.equal(of([{ dirtyBytesPerS: 9 }, {}, {}]), undefined);
  assert.equal(of([{ dirtyBytesPerS: 9 }], {}), undefined);
});

test('no reports are read for a guest whose activity is unknown', () => {
  const links = { now: () => assert.fail('reports were read') };
  const { guestLoads: _none, ...rest } = known;
  const found = workloadOf({ ...rest, links }, asked('b'));
  assert.deepEqual([found.load, found.linkRate], [undefined, undefined]);
});

test('malformed labels are ignored', () => {
  assert.equal(labelsOf({ labels: { of: () => ({ 'godwit/strange': 'x' }) } }, 'web1'), undefined);
  assert.equal(labelsOf({}, 'web1'), undefined);
});

test('a workload is judged again with facts learned later: copied disks and the measured link', () => {
  const check = { name: 'workload', side: 'source', verdict: 'pass', evidence: 'before' } as const;
  const host = { to: 'b', verdict: 'pass', checks: [check] } as const;
  const load = { ...now, writtenBytesPerS: 9e6 };
  const settings = { mode: 'precopy', streams: 1, compress: 'none' } as const;
  const judged = (linkRate: number | undefined, learned: Parameters<typeof withWorkload>[2]) => {
    const found = withWorkload({ ...host, checks: [check] }, { load, linkRate, settings }, learned);
    return [found.verdict, found.checks[0]?.evidence.includes('are copied')];
  };
  const link = { rate: 9e6, how: 'measured' } as const;
  assert.deepEqual(judged(undefined, { copiesDisks: true, link }), ['warn', true]);
  assert.deepEqual(judged(9e6, { copiesDisks: true }), ['warn', true]);
  // It may carry more than that.
  const least = { ...link, isLeast: true };
  assert.deepEqual(judged(9e6, { copiesDisks: true, link: least }), ['pass', false]);
  assert.deepEqual(judged(9e6, { link }), ['pass', false]);
});
