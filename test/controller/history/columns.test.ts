import assert from 'node:assert/strict';
import { test } from 'node:test';
import { columnsOf } from '../../../src/controller/history/columns.ts';
import { cameTo } from '../../../src/migration/report/outcome-figures.ts';
import { report } from '../../cli/fake.ts';

test('a deliberately limited link is not read for its rate', () => {
  const free = columnsOf(report());
  assert.equal(free.link_rate, 118 * 1024 * 1024);
  assert.equal(free.dirty_rate, 20 * 1024 * 1024);
  const { settings } = report();
  const held = columnsOf(report({ settings: { ...settings, maxBandwidth: 4096 } }));
  assert.equal(held.link_rate, null);
});

test('the waiting time of a migration is not part of its duration, and stays in its report', () => {
  const worked = report();
  const waited = report({
    totalMs: worked.totalMs + 3_600_000,
    phases: [{ phase: 'planned', ms: 3_600_000 }, ...worked.phases],
  });
  assert.equal(columnsOf(waited).total_ms, worked.totalMs);
  assert.equal(cameTo(waited).totalMs, worked.totalMs);
  assert.equal(waited.totalMs, worked.totalMs + 3_600_000);
});
