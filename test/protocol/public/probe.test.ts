import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_PROBES, probeReport, probeReports } from '../../../src/protocol/public/probe.ts';

test('a report names at most as many hosts as may watch one guest', () => {
  const one = probeReport.parse({ host: 'c', notTried: 'it does not answer' });
  assert.ok(probeReports.safeParse(Array(MAX_PROBES).fill(one)).success);
  assert.equal(probeReports.safeParse(Array(MAX_PROBES + 1).fill(one)).success, false);
});
