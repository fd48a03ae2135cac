import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { HONEST } from '../../../sim/fake/manager-options.ts';
import { godwitError } from '../../../src/errors.ts';
import { hookInput } from '../../../src/hooks/hooks.ts';
import { LIFECYCLE } from '../../../src/mover/managed/lifecycle.ts';
import type { Report } from '../../../src/protocol/public/migration.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { runTrial, type Outcome } from './trial.ts';

/** So long after a trial's migration was asked for. */
const later = (ms: number): string => new Date(1_800_000_000_000 + ms).toISOString();
const HOUR_MS = 3_600_000;

describe('a delayed managed migration', () => {
  const whenQuiet = { withinMs: 60_000 };
  const planned = ({ report }: { readonly report: Report }): number =>
    report.phases.find(({ phase }) => phase === 'planned')?.ms ?? 0;
  const asksOf = ({ calls }: Pick<Outcome, 'calls'>): string[] => calls.map(({ name }) => name);

  test('a delayed managed migration asks the manager nothing before, and has its full time from then on', async () => {
    const asked = { notBefore: later(HOUR_MS) };
    const found = await runTrial({ seed: 1, asked, taskMs: 30_000, timeoutMs: 60_000 });
    assert.equal(found.outcome, 'done');
    assert.ok((found.calls[0]?.atMs ?? 0) >= HOUR_MS);
    assert.ok(planned(found) >= HOUR_MS, JSON.stringify(found.report.phases));
    const endless = { seed: 1, asked, taskMs: 10_000_000, timeoutMs: 60_000 };
    const { report, tookMs } = await runTrial(endless);
    assert.equal(report.error?.code, 'GODWIT_DEADLINE');
    assert.ok(tookMs >= HOUR_MS + 60_000 && tookMs < HOUR_MS + 80_000, `${tookMs} ms`);
  });

  test("a delayed managed migration survives its mover's death, and begins on time", async () => {
    const given = { seed: 1, asked: { notBefore: later(60_000), whenQuiet } };
    const whole = await runTrial(given);
    assert.equal(whole.outcome, 'done');
    for (let at = 1; at <= whole.points; at += 1) {
      const found = await runTrial({ ...given, deaths: [at] });
      const story = JSON.stringify({ at, found });
      assert.ok((found.calls[0]?.atMs ?? 0) >= 60_000, story);
      assert.ok(found.tasks === 1 || found.outcome === 'failed', story);
      if (found.tasks === 1) assert.equal(found.outcome, 'done', story);
      assert.ok(found.tookMs < whole.tookMs + 30_000, story);
    }
  });

  test('a delayed managed migration is not ordered once its window is over', async () => {
    const asked = { notBefore: later(-HOUR_MS), deadlineAt: later(-1) };
    const found = await runTrial({ seed: 1, asked });
    assert.deepEqual([found.outcome, found.tasks, found.at], ['failed', 0, 'a']);
    assert.equal(found.report.error?.code, 'GODWIT_DEADLINE');
    assert.ok(!asksOf(found).includes('start'));
  });

  test('a delayed managed migration that is canceled never reaches the manager', async () => {
    const asked = { notBefore: later(HOUR_MS) };
    const found = await runTrial({ seed: 1, asked, deaths: [2], cancelAfterMs: 10_000 });
    assert.equal(found.outcome, 'cancelled');
    assert.deepEqual([found.calls, found.report.runsAt], [[], 'source']);
    assert.equal(found.report.takeovers, 1);
    assert.match(found.cancels.find(({ accepted }) => accepted)?.what ?? '', /runs on at a/);
    assert.ok(found.tookMs < 30_000, `${found.tookMs} ms`);
  });

  test('a delayed managed migration begins at once for a quiet guest, and at its limit otherwise', async () => {
    const quiet = await runTrial({ seed: 1, asked: { whenQuiet } });
    assert.deepEqual(asksOf(quiet).slice(0, 2), ['measure', 'inspect']);
    assert.match(quiet.report.decisions[0]?.what ?? '', /is quiet: it writes 0/);
    const dirtying = { memoryBytes: 1024 ** 3, rate: 100e6, dirtyRate: 50e6 };
    const busy = await runTrial({ seed: 1, asked: { whenQuiet }, dirtying });
    assert.match(busy.report.decisions[0]?.what ?? '', /no quiet moment within .*the guest wrote/);
    assert.ok(planned(busy) >= 60_000 && planned(busy) < 70_000, `${planned(busy)} ms`);
    assert.equal(busy.outcome, 'done');
  });

  test('a delayed managed migration begins at its limit if the write rate is unknown', async () => {
    const given = { seed: 1, asked: { whenQuiet }, behaves: { ...HONEST, lost: 1 } };
    const { report } = await runTrial(given);
    assert.match(report.decisions[0]?.what ?? '', /could not be measured/);
    assert.equal(report.error?.code, 'GODWIT_UNREACHABLE');
  });

  test("a managed migration gives notice by its host's hook, and a no ends it if the site allows that", async (t) => {
    const directory = tempDir(t);
    const hook = (script: string): void =>
      writeFileSync(path.join(directory, 'notice'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const given = { seed: 1, asked: { noticeMs: 600_000 } };
    hook('cat > "${0%/*}/reported"; echo ready');
    const ready = await runTrial({ ...given, hooks: { directory } });
    assert.equal(ready.outcome, 'done');
    assert.match(ready.report.decisions[0]?.what ?? '', /is ready/);
    const told = hookInput.parse(
      JSON.parse(readFileSync(path.join(directory, 'reported'), 'utf8')),
    );
    assert.deepEqual([told.guest, told.from, told.to, told.host], ['web1', 'a', 'b', 'a']);
    hook('echo in the middle of a backup; exit 10');
    const refused = await runTrial({ ...given, hooks: { directory, noticeMayRefuse: true } });
    assert.equal(refused.report.error?.code, 'GODWIT_NOTICE_REFUSED');
    assert.deepEqual(refused.calls, []);
    const nobody = await runTrial(given);
    assert.equal(nobody.report.error?.code, 'GODWIT_CAPABILITY');
  });
});

describe('the mover of a managed migration', () => {
  test('a managed mover waits for a task that the manager has accepted but does not list yet', async () => {
    const found = await runTrial({ seed: 1, listLagMs: 4000, taskMs: 8000 });
    assert.equal(found.outcome, 'done');
    assert.equal(found.tasks, 1);
    assert.ok(found.tookMs >= 8000, `${found.tookMs} ms`);
  });

  test('a managed mover gives its successor only the rest of the allowed time', async () => {
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

  test('a managed mover pauses before it asks again, within the time of its step', async () => {
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

  test('a managed mover can be canceled while it pauses', async () => {
    const given = { seed: 1, behaves: { ...HONEST, lost: 1 }, cancelAfterMs: 500 };
    const { outcome, tookMs } = await runTrial(given);
    assert.equal(outcome, 'cancelled');
    assert.ok(tookMs < 1000, `${tookMs} ms`);
  });

  test('a managed mover accepts a second cancel, and asks the manager no sooner for it', async () => {
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

  test('a managed mover ends a task that begins only after the cancel, however late its order arrived', async () => {
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

describe('answers of a manager', () => {
  const inspected = async (memoryBytes: number, checks: readonly object[]) => {
    const session = { inspect: async () => ({ memoryBytes, checks }) };
    const ask = (question: (asked: object) => unknown) => question(session);
    return LIFECYCLE.inspect.do({ ask } as never, AbortSignal.timeout(1000));
  };
  const passes = { name: 'a', side: 'source', verdict: 'pass', evidence: '' };

  test('an oversized answer of the manager ends the step, and not the mover', async () => {
    const invalid = { code: 'GODWIT_PROTOCOL_INVALID' };
    await assert.rejects(inspected(-1, []), invalid);
    await assert.rejects(inspected(2 ** 60, []), invalid);
    await assert.rejects(inspected(1, [{ ...passes, evidence: 'x'.repeat(5000) }]), invalid);
  });

  test("an oversized answer of the manager is cut to the journal's limit, but never by a refusal", async () => {
    const many = Array.from({ length: 1000 }, () => passes);
    assert.equal((await inspected(1, many))?.checks?.length, 256);
    const refused = inspected(1, [...many, { ...passes, name: 'last', verdict: 'refuse' }]);
    await assert.rejects(refused, /last/);
  });
});

describe('the report of a managed migration', () => {
  test('the report of a managed migration omits facts that the manager does not report', async () => {
    const { report } = await runTrial({ seed: 1 });
    assert.equal(report.finished, 'unknown');
    for (const name of ['bytes', 'rounds', 'throughput', 'pageRequests', 'downtimeMs'] as const) {
      assert.equal(report[name], undefined, name);
    }
  });

  test("the report of a managed migration has the manager's facts unchanged", async () => {
    const figures = { sentBytes: 4096, rounds: 3, downtimeMs: 46, finished: 'precopy' } as const;
    const { report } = await runTrial({ seed: 1, figures });
    const { bytes, rounds, downtimeMs, finished } = report;
    assert.deepEqual({ sentBytes: bytes, rounds, downtimeMs, finished }, figures);
    assert.ok((report.throughput ?? 0) > 0);
  });

  test('the report of a managed migration keeps its observations even if its manager is asked again', async () => {
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
