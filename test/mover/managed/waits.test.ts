import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HONEST } from '../../../src/drivers/fake/manager-options.ts';
import { godwitError } from '../../../src/errors.ts';
import { LIFECYCLE } from '../../../src/mover/managed/lifecycle.ts';
import { runTrial } from './trial.ts';

describe('the mover of a managed migration', () => {
  test('waits for a task that the manager has accepted and does not list yet', async () => {
    const found = await runTrial({ seed: 1, listLagMs: 4000, taskMs: 8000 });
    assert.equal(found.outcome, 'done');
    assert.equal(found.tasks, 1);
    assert.ok(found.tookMs >= 8000, `${found.tookMs} ms`);
  });

  test('gives a new mover only what is left of the time that the user allowed', async () => {
    const endless = { seed: 1, taskMs: 10_000_000, timeoutMs: 40_000 };
    const one = await runTrial(endless);
    // Each of these movers dies after a few looks at the task.
    const many = await runTrial({ ...endless, deaths: [60, 60, 60] });
    assert.equal(many.report.takeovers, 3);
    for (const { outcome, report, tookMs } of [one, many]) {
      assert.equal(outcome, 'failed');
      assert.equal(report.error?.code, 'GODWIT_DEADLINE');
      assert.equal(report.runsAt, 'source');
      assert.ok(tookMs < 50_000, `${tookMs} ms`);
    }
  });

  test('pauses before it asks again, within the time of its step', async () => {
    const { outcome, report, calls, tookMs } = await runTrial({
      seed: 1,
      behaves: { ...HONEST, lost: 1 },
    });
    assert.equal(outcome, 'failed');
    assert.equal(report.error?.code, 'GODWIT_UNREACHABLE');
    const at = calls.filter(({ name }) => name === 'inspect').map(({ atMs }) => atMs);
    assert.equal(at.length, 3);
    const pauses = at.slice(1).map((each, index) => each - (at[index] ?? 0));
    assert.ok(pauses[0] !== undefined && pauses[0] >= 1000, `${pauses[0]} ms`);
    assert.ok(pauses[1] !== undefined && pauses[1] >= 2000, `${pauses[1]} ms`);
    assert.ok(tookMs < 30_000, `${tookMs} ms`);
  });

  test('can be cancelled while it pauses', async () => {
    const given = { seed: 1, behaves: { ...HONEST, lost: 1 }, cancelAfterMs: 500 };
    const { outcome, tookMs } = await runTrial(given);
    assert.equal(outcome, 'cancelled');
    assert.ok(tookMs < 1000, `${tookMs} ms`);
  });

  test('takes a second cancel for what it is, and asks the manager no sooner for it', async () => {
    const given = { seed: 1, taskMs: 10_000, cancelAfterMs: [1200, 1200] };
    const { outcome, cancels, report } = await runTrial(given);
    assert.equal(outcome, 'cancelled');
    assert.deepEqual(
      cancels.map(({ accepted }) => accepted),
      [true, false],
    );
    assert.match(cancels[1]?.what ?? '', /asked to end the task already/);
    assert.equal(report.decisions.filter(({ what }) => what.includes('cancel')).length, 2);
  });

  test('ends a task that begins only after the cancel, however late its order arrived', async () => {
    const late = { ...HONEST, late: 0.25 };
    let begun = 0;
    for (let seed = 1; seed <= 40; seed += 1) {
      const given = { seed, behaves: late, taskMs: 30_000, timeoutMs: 60_000, cancelAfterMs: 600 };
      const found = await runTrial(given);
      begun += found.tasks;
      const story = JSON.stringify({ seed, found });
      assert.equal(found.outcome === 'cancelled' || found.outcome === 'failed', true, story);
      assert.equal(found.at, 'a', story);
      assert.ok(found.tookMs < 30_000, story);
    }
    assert.ok(begun > 0, 'no task began');
  });
});

describe('what a manager says of a guest', () => {
  const inspected = async (memoryBytes: number, checks: readonly object[]) => {
    const session = { inspect: async () => ({ memoryBytes, checks }) };
    const ask = (question: (asked: object) => unknown) => question(session);
    return LIFECYCLE.inspect.do({ ask } as never, AbortSignal.timeout(1000));
  };
  const passes = { name: 'a', side: 'source', verdict: 'pass', evidence: '' };

  test('ends the step where no journal could hold it, and not the mover', async () => {
    const invalid = { code: 'GODWIT_PROTOCOL_INVALID' };
    await assert.rejects(inspected(-1, []), invalid);
    await assert.rejects(inspected(2 ** 60, []), invalid);
    await assert.rejects(inspected(1, [{ ...passes, evidence: 'x'.repeat(5000) }]), invalid);
  });

  test('is cut to what a journal holds, but never by a refusal', async () => {
    const many = Array.from({ length: 1000 }, () => passes);
    assert.equal((await inspected(1, many))?.checks?.length, 256);
    const refused = inspected(1, [...many, { ...passes, name: 'last', verdict: 'refuse' }]);
    await assert.rejects(refused, /last/);
  });
});

describe('the report of a managed migration', () => {
  test('leaves out what the manager does not report', async () => {
    const { report } = await runTrial({ seed: 1 });
    assert.equal(report.finished, 'unknown');
    for (const name of ['bytes', 'rounds', 'throughput', 'pageRequests', 'downtimeMs'] as const) {
      assert.equal(report[name], undefined, name);
    }
  });

  test('has what the manager reports, as it reports it', async () => {
    const figures = { sentBytes: 4096, rounds: 3, downtimeMs: 46, finished: 'precopy' } as const;
    const { report } = await runTrial({ seed: 1, figures });
    const { bytes, rounds, downtimeMs, finished } = report;
    assert.deepEqual({ sentBytes: bytes, rounds, downtimeMs, finished }, figures);
    assert.ok((report.throughput ?? 0) > 0);
  });

  test('has what was seen of the guest also where its manager leaves something, or is asked again', async () => {
    const host = { hypervisor: 'libvirt', host: 'a', command: 'undefine', reason: 'left to you' };
    const left = godwitError('GODWIT_HYPERVISOR', host);
    const silent = godwitError('GODWIT_UNREACHABLE', {
      peer: 'it',
      address: 'a',
      reason: 'silent',
    });
    const look = {
      name: 'reached',
      side: 'both',
      verdict: 'pass',
      evidence: 'it answers a',
    } as const;
    for (const leaves of [[left], [silent], [silent, left], [silent, silent, silent]]) {
      let looks = 0;
      const verification = {
        before: () => undefined,
        inspected: () => undefined,
        watch: () => undefined,
        there: async () => undefined,
        results: async () => ({ verified: [{ ...look, evidence: `look ${(looks += 1)}` }] }),
        close: async () => undefined,
      };
      const { outcome, report } = await runTrial({ seed: 1, leaves, verification });
      assert.equal(outcome, 'done');
      assert.deepEqual(report.verified, [{ ...look, evidence: 'look 1' }]);
      const named = (report.leftovers ?? []).map(({ code }) => code);
      assert.deepEqual(
        named,
        leaves.length === 1 && leaves[0] === silent ? [] : [leaves.at(-1)?.code],
      );
    }
  });
});
