import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  drainTable,
  fleetJson,
  fleetNextSteps,
  isGoodFleet,
  type FleetRun,
} from '../../demo/fleet/outcome.ts';
import { judgeMove } from '../../demo/outcome.ts';
import { painter } from '../../src/words/style.ts';
import { client, evidence } from './samples.ts';

const look = { columns: 200, isTerminal: false, paint: painter(false) };
const good = judgeMove(evidence);
const broken = judgeMove({
  ...evidence,
  client: { ...client, connected: false, connectionKept: false, reason: 'ECONNRESET' },
});
const machine = { cores: 2, processor: 'p', kernel: 'k', node: '26', rootless: false };
const run: FleetRun = {
  machine,
  drain: {
    host: 'a',
    phase: 'done',
    words: '1 guest moved',
    asked: ['web1'],
    guests: [{ guest: 'web1', result: good }],
  },
  dashboard: { url: 'https://127.0.0.1:4433', token: 'gdw_secret' },
  leftBehind: [],
  totalMs: 90_000.4,
};

describe('the demo of a fleet', () => {
  test('is good when the host is empty and each of its guests came through', () => {
    assert.equal(isGoodFleet(run), true);
  });

  const drain = run.drain as NonNullable<FleetRun['drain']>;
  const bad: Record<string, FleetRun> = {
    'guests stay': { ...run, drain: { ...drain, phase: 'left' } },
    'a guest has not been seen to arrive': { ...run, drain: { ...drain, asked: ['web1', 'db1'] } },
    'a connection broke': {
      ...run,
      drain: { ...drain, guests: [{ guest: 'web1', result: broken }] },
    },
    'something was left behind': { ...run, leftBehind: ['host a: tap: 1, expected 0'] },
    'it came to no drain': { ...run, drain: undefined },
  };
  for (const [what, each] of Object.entries(bad)) {
    test(`is not good when ${what}`, () => assert.equal(isGoodFleet(each), false));
  }

  test('has a row for each guest, and below it what went wrong', () => {
    const text = drainTable(
      [
        { guest: 'web1', result: good },
        { guest: 'db1', result: broken },
      ],
      look,
    );
    assert.equal(
      text,
      [
        'GUEST  FROM  TO  TOTAL  DOWNTIME  CLIENT GAP  VERDICT',
        'web1   a     b   3.1 s  12 ms     31 ms       connection kept, memory verified',
        'db1    a     b   3.1 s  12 ms     31 ms       DAMAGED',
        "✘ db1: the client's connection broke: ECONNRESET",
        '',
      ].join('\n'),
    );
  });

  test('prints the address and the token in JSON only where the fleet was kept', () => {
    assert.doesNotMatch(JSON.stringify(fleetJson(run)), /gdw_secret/);
    const kept = fleetJson({ ...run, keptLab: 'demo' });
    assert.deepEqual(kept, {
      ok: true,
      drain: {
        host: 'a',
        phase: 'done',
        words: '1 guest moved',
        guests: [{ guest: 'web1', ...good }],
      },
      keptLab: 'demo',
      dashboard: run.dashboard,
      environment: machine,
      leftBehind: [],
      totalMs: 90_000,
    });
  });

  test('says with --keep how to sign in and how to take it down', () => {
    const where = { url: 'https://127.0.0.1:4433', token: 'gdw_secret', socket: '/run/c.sock' };
    const text = fleetNextSteps('demo-2', where, 'a');
    assert.match(text, /https:\/\/127\.0\.0\.1:4433/);
    assert.match(text, /sign in with the token gdw_secret/);
    assert.match(text, /GODWIT_CONTROLLER=\/run\/c\.sock/);
    assert.match(text, /\.\/godwit lab down --name demo-2/);
  });
});
