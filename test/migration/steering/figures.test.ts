import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  cautiousRate,
  inputsOf,
  steadyRate,
  wordsOf,
} from '../../../src/migration/steering/figures.ts';
import { afterRound } from '../../../src/migration/steering/trace.ts';
import { sampleOf } from '../direct/samples.ts';

const MIB = 1024 ** 2;
const SAMPLE = sampleOf({
  round: 3,
  totalBytes: 256 * MIB,
  remainingBytes: 20 * MIB,
  rate: 8 * MIB,
  dirtyRate: 6 * MIB,
  totalMs: 20_000,
  transferredBytes: 200 * MIB,
  expectedDowntimeMs: 35,
});
const SETTINGS = { mode: 'hybrid', maxDowntimeMs: 300 } as const;

test("the link's rate is its average if one look showed less", () => {
  assert.equal(steadyRate(SAMPLE), 10 * MIB);
  assert.equal(steadyRate({ ...SAMPLE, rate: 12 * MIB }), 12 * MIB);
  assert.equal(steadyRate({ ...SAMPLE, totalMs: 0 }), 8 * MIB);
  assert.equal(steadyRate(SAMPLE, 9 * MIB), 9 * MIB, 'a link that has become slower');
});

test("urgent decisions use the link's recent rate, or the single look without one", () => {
  const view = { sample: SAMPLE, trace: undefined, levers: [], settings: SETTINGS, leftMs: 0 };
  assert.equal(cautiousRate(view), 8 * MIB);
  assert.equal(cautiousRate({ ...view, recentRate: 3 * MIB }), 3 * MIB);
  assert.equal(cautiousRate({ ...view, recentRate: 0 }), 1);
});

test("the expected downtime is the remainder at the round's start, however late the hypervisor's figure is", () => {
  const trace = afterRound(undefined, SAMPLE);
  const view = { trace, levers: [], settings: SETTINGS, leftMs: 1000.4 };
  const later = { ...SAMPLE, remainingBytes: 5 * MIB };
  const inputs = inputsOf({ ...view, sample: later });
  assert.equal(inputs.expectedDowntimeMs, 2000);
  assert.deepEqual(
    [inputs.remainingBytes, inputs.leftMs, inputs.writeRate],
    [5 * MIB, 1000, undefined],
  );
  const slow = { ...later, expectedDowntimeMs: 3000 };
  assert.equal(inputsOf({ ...view, sample: slow }).expectedDowntimeMs, 3000);
});

test('the text has the round, both rates, and for how long nothing improved', () => {
  const inputs = inputsOf({
    sample: SAMPLE,
    trace: undefined,
    levers: [],
    settings: SETTINGS,
    leftMs: 0,
  });
  assert.equal(wordsOf(inputs), 'round 3: the guest dirties 6 MiB/s, the link takes 10 MiB/s');
  assert.match(wordsOf({ ...inputs, stalledRounds: 2 }), /set no new minimum for 2 rounds$/);
  assert.match(
    wordsOf({ ...inputs, writeRate: 30 * MIB }),
    /\(it writes 30 MiB\/s in a short time\)/,
  );
});
