import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ofNow } from '../../../src/migration/report/of-now.ts';
import { report } from '../../cli/fake.ts';
import { sampleOf } from '../direct/samples.ts';

const phases = [
  { phase: 'checking', ms: 500 },
  { phase: 'memory', ms: 1500 },
  { phase: 'draining', ms: 500 },
] as const;
const running = report({ outcome: 'running', phase: 'memory', bytes: 7, phases: [...phases] });

describe('the report of a running migration', () => {
  test('the report of a running migration has the newest state of the stream', () => {
    const sample = sampleOf({ transferredBytes: 4000, round: 3, pageRequests: 2 });
    const { bytes, rounds, throughput, pageRequests } = ofNow(running, { sample });
    assert.deepEqual([bytes, rounds, throughput, pageRequests], [4000, 3, 2000, 2]);
  });

  test('the report stays unchanged without newer data, and once the migration has ended', () => {
    assert.deepEqual(ofNow(running, {}), running);
    const older = sampleOf({ transferredBytes: 6 });
    assert.deepEqual(ofNow(running, { sample: older }), running);
    const done = report({ bytes: 7 });
    assert.deepEqual(ofNow(done, { sample: sampleOf() }), done);
  });
});
