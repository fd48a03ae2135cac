import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dataDirectory, daysOf, readDay, referenceRows } from '../../../bench/planner-data.ts';
import { digitsOf, policyCalled } from '../../../bench/planner-reference.ts';
import { runExperiment, type Policy } from '../../../bench/cloudsim/experiment.ts';
import { steady } from './worlds.ts';

const directory = dataDirectory(undefined);
const absent =
  directory !== undefined && referenceRows(directory).length > 0
    ? false
    : 'the recorded days are not here: set PLANNER_DATA';

// The benchmark compares all rows. These take a second each, and between them use every rule but one.
for (const run of ['dvfs', 'npa', 'lr_mmt_1.2', 'thr_mu_0.8', 'mad_mmt_2.5']) {
  test(`gives CloudSim's digits for 20110303 ${run}`, { skip: absent }, () => {
    const found = daysOf(directory ?? '').find(({ day }) => day === '20110303');
    const row = referenceRows(directory ?? '').find(
      (each) => each.day === '20110303' && each.run === run,
    );
    const policy = policyCalled(run);
    assert.ok(found !== undefined && row !== undefined && policy !== undefined);
    assert.equal(digitsOf(runExperiment({ traces: readDay(found.file), policy })), row.digits);
  });
}

const traces = [0.5, 0.5, 0.2, 0.2].map((load, index) => ({
  name: `g${index}`,
  loads: steady(load).slice(1),
}));

test('a day by hand: steady guests cost what their hosts draw, from the first look to the last', () => {
  const seconds = 86_100.1 - 300.1;
  // First fit: a core of the first type is too slow for 2500 and 2000 MIPS; 1000 and 500 go there.
  const first = 86 + 3.4 * (300 / 3720 / 0.1);
  const second = 110 + 6 * ((2250 / 5320 - 0.4) / 0.1);
  const watts = first + second;
  const outcome = runExperiment({ traces, policy: { policy: 'dvfs' }, hosts: 2 });
  assert.ok(Math.abs(outcome.kwh - (watts * seconds) / 3.6e6) < 1e-9);
  assert.deepEqual([outcome.moves, outcome.unserved, outcome.overTime], [0, 0, 0]);
});

test('a day by hand: all guests go to one host in two rounds and stay there', () => {
  const policy = policyCalled('thr_mmt_0.8');
  assert.ok(policy !== undefined);
  const outcome = runExperiment({ traces, policy, hosts: 4 });
  const asked = 1250 + 1000 + 200 + 100;
  // One guest goes to the host that stays, and one to a host that is woken; then both guests there follow.
  assert.equal(outcome.moves, 4);
  assert.ok(outcome.lostByMoves <= (0.1 * asked * 27.84) / (asked * 85_800));
  assert.equal(outcome.overTime, 0);
});

test('the same input gives the same day, also with random selection', () => {
  const policy: Policy = {
    policy: 'reference',
    overload: { rule: 'thr', limit: 0.3 },
    selection: 'rs',
  };
  const draws = (): (() => number) => {
    let state = 7;
    return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
  };
  const run = (): unknown => runExperiment({ traces, policy, hosts: 4, draw: draws() });
  assert.deepEqual(run(), run());
  assert.throws(() => runExperiment({ traces, policy, hosts: 4 }), /random/);
});

test('a policy of its own moves what it says', () => {
  let left = 1;
  const outcome = runExperiment({
    traces,
    hosts: 4,
    policy: {
      policy: 'own',
      decide: ({ guests, hosts }) => {
        const [guest] = guests;
        const to = hosts[3];
        if (left === 0 || guest === undefined || to === undefined) return [];
        left -= 1;
        return [{ guest, to }];
      },
    },
  });
  assert.equal(outcome.moves, 1);
});
