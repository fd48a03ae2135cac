import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inputsOf, steadyRate, wordsOf } from '../../../src/migration/steering/figures.ts';
import { afterRound } from '../../../src/migration/steering/trace.ts';
import type { SteeringTrace } from '../../../src/migration/steering/trace.ts';
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

test('the link is taken for what it carried on average where one look saw less', () => {
  assert.equal(steadyRate(SAMPLE, undefined), 10 * MIB);
  assert.equal(steadyRate({ ...SAMPLE, rate: 12 * MIB }, undefined), 12 * MIB);
  assert.equal(steadyRate({ ...SAMPLE, totalMs: 0 }, undefined), 8 * MIB);
});

test('a link that has become slower is taken for what the latest rounds came to, and a standstill in them is not', () => {
  const rounds = [
    { round: 1, totalMs: 0, transferredBytes: 0 },
    { round: 2, totalMs: 10_000, transferredBytes: 500 * MIB },
    { round: 3, totalMs: 13_000, transferredBytes: 512 * MIB },
    { round: 4, totalMs: 13_100, transferredBytes: 512 * MIB },
    { round: 5, totalMs: 16_000, transferredBytes: 524 * MIB },
  ];
  const traces = rounds.map((_, at) =>
    rounds
      .slice(0, at + 1)
      .reduce<SteeringTrace | undefined>(
        (trace, seen) => afterRound(trace, { ...SAMPLE, ...seen }),
        undefined,
      ),
  );
  const halted = { ...SAMPLE, rate: 1, totalMs: 17_000, transferredBytes: 528 * MIB };
  assert.deepEqual(
    traces.map((trace) => Math.round(steadyRate(halted, trace) / MIB)),
    [31, 31, 4, 4, 4],
  );
});

test('the expected downtime is what remained as the round began, however late the hypervisor’s own figure is', () => {
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

test('the words say the round, both rates, and for how long nothing became less', () => {
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
