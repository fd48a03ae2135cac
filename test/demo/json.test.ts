import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isGood, jsonOf, type DemoRun } from '../../demo/json.ts';
import { judgeMove } from '../../demo/outcome.ts';
import { client, evidence, guest } from './samples.ts';

const run: DemoRun = {
  machine: { cores: 2, processor: 'some', kernel: '6.1', node: '26.10.0', rootless: false },
  guest,
  outcomes: [
    judgeMove(evidence),
    { mode: 'postcopy', skipped: 'userfaultfd is not permitted', failing: false },
  ],
  client: { view: client, oneConnection: true },
  leftBehind: [],
  totalMs: 61_234.5,
};

describe('the demo as JSON', () => {
  test('has an entry for each mode, with the reason of one that was left out', () => {
    const { migrations, ok } = jsonOf(run) as { migrations: object[]; ok: boolean };
    assert.equal(ok, true);
    assert.equal(migrations.length, 2);
    const {
      mode,
      totalMs,
      downtimeMs,
      clientGapMs,
      bytes,
      rounds,
      connectionKept,
      memoryVerified,
    } = migrations[0] as Record<string, unknown>;
    assert.deepEqual(
      { mode, totalMs, downtimeMs, clientGapMs, bytes, rounds, connectionKept, memoryVerified },
      {
        mode: 'precopy',
        totalMs: 3123,
        downtimeMs: 12,
        clientGapMs: 31.3,
        bytes: 402 * 1024 ** 2,
        rounds: 4,
        connectionKept: true,
        memoryVerified: true,
      },
    );
    assert.deepEqual(migrations[1], {
      mode: 'postcopy',
      skipped: 'userfaultfd is not permitted',
    });
  });

  test('says on what machine and guest, and what the client saw', () => {
    const said = jsonOf(run) as {
      environment: { cores: number; guest: { qemuVersion: string } };
      client: object;
    };
    assert.equal(said.environment.cores, 2);
    assert.equal(said.environment.guest.qemuVersion, '10.0.2');
    assert.deepEqual(said.client, {
      oneConnection: true,
      localPort: 50_518,
      sent: 3161,
      received: 3161,
      lost: 0,
      doubled: 0,
    });
  });

  test('is good only when nothing was left behind, no move failed and the connection lasted', () => {
    const bad: Partial<DemoRun>[] = [
      { leftBehind: ['a process'] },
      { outcomes: [] },
      { outcomes: [judgeMove({ ...evidence, runningOn: [] })] },
      { outcomes: [...run.outcomes, { mode: 'hybrid', skipped: 'no guest', failing: true }] },
      { client: { view: client, oneConnection: false } },
      { client: undefined },
      {
        error: { code: 'GODWIT_LAB', message: 'x', hint: 'y', retryable: false, facts: {} },
      },
    ];
    assert.ok(isGood(run));
    for (const change of bad) assert.equal(isGood({ ...run, ...change }), false);
  });

  test('of a run that came to nothing holds the error and no migrations', () => {
    const error = {
      code: 'GODWIT_LAB',
      message: 'x',
      hint: 'y',
      retryable: false,
      facts: {},
    } as const;
    const { machine } = run;
    assert.deepEqual(jsonOf({ machine, outcomes: [], leftBehind: [], totalMs: 1, error }), {
      ok: false,
      migrations: [],
      environment: machine,
      leftBehind: [],
      totalMs: 1,
      error,
    });
  });
});
