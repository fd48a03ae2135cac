import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { LateReports } from '../../../src/controller/history/late-reports.ts';
import { packed, unpacked } from '../../../src/controller/history/kept-report.ts';
import { godwitError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import type { Report } from '../../../src/protocol/public/migration.ts';
import type { Later } from '../../../src/protocol/public/probe.ts';
import { report } from '../../cli/fake.ts';

const MINUTE_MS = 60_000;
const signal = new AbortController().signal;

/** Of a guest that another host probes for ten minutes more. */
function sampleReport({ later, settings = {} }: { later?: Later; settings?: object }): Report {
  const latency = later === undefined ? {} : { later };
  const before = report({ outcome: 'done', vantages: [{ host: 'c', goesOnMs: 600_000, latency }] });
  return { ...before, settings: { ...before.settings, ...settings } };
}

type Dependencies = ConstructorParameters<typeof LateReports>[0];

/** A controller whose database holds that report, and an agent that now gives `now`. */
function world(before: Report, now: () => Report) {
  const kept = new Map([[before.id, packed(before) ?? '']]);
  const told = { nowMs: 0, asked: 0 };
  const row = { guest: before.guest, source: before.from, destination: before.to };
  const migrations = {
    nowMs: async () => 1e12,
    reportedBy: async (_host: string, id: string) => ({ row, report: kept.get(id) ?? null }),
    reportsSince: async () => [...kept.values()],
    complete: async (_held: unknown, _host: string, id: string, text: string) => {
      kept.set(id, text);
    },
  };
  const api = {
    report: async () => {
      told.asked += 1;
      return now();
    },
  };
  const late = new LateReports({
    migrations: migrations as unknown as Dependencies['migrations'],
    agentAt: (() => api) as unknown as Dependencies['agentAt'],
    held: () => new Map(),
    log: silentLog,
    monotonicMs: () => told.nowMs,
  });
  return {
    late,
    told,
    kept: () => unpacked(kept.get(before.id) ?? ''),
    after: async (ms: number) => {
      told.nowMs += ms;
      late.turn(signal);
      await late.settled();
    },
  };
}

describe('incomplete reports', () => {
  const later = (complete: boolean) => ({
    sent: 10,
    answered: 10,
    gapMs: 0,
    forMs: 1000,
    complete,
  });

  test('an incomplete report is requested again once a minute until it is complete, and is replaced', async () => {
    let answer = sampleReport({ later: later(false) });
    const { late, told, kept, after } = world(sampleReport({}), () => answer);
    late.written('a', kept());
    await after(1000);
    assert.equal(told.asked, 0);
    await after(MINUTE_MS);
    assert.equal(told.asked, 1);
    assert.equal(kept().vantages?.[0]?.latency?.later?.complete, false);
    answer = sampleReport({ later: later(true) });
    await after(MINUTE_MS);
    assert.equal(kept().vantages?.[0]?.latency?.later?.complete, true);
    assert.equal(late.count, 0);
    await after(10 * MINUTE_MS);
    assert.equal(told.asked, 2);
  });

  test('a restarted controller detects that the report is incomplete', async () => {
    const { late, kept, after } = world(sampleReport({}), () =>
      sampleReport({ later: later(true) }),
    );
    await late.followed('a');
    assert.equal(late.count, 1);
    await after(MINUTE_MS);
    assert.equal(kept().vantages?.[0]?.latency?.later?.complete, true);
  });

  test('a completed report names the migration that took its guest back', async () => {
    const settings = { returnIfUnhealthy: { check: 'check-web', withinMs: 60_000 } };
    const returned = { migration: 'm-00000002', why: 'it failed', at: '2026-03-01T10:00:00.000Z' };
    const given = { later: later(true), settings };
    const { late, kept, after } = world(sampleReport(given), () => ({
      ...sampleReport(given),
      returned,
    }));
    late.written('a', kept());
    await after(MINUTE_MS);
    assert.deepEqual(kept().returned, returned);
    assert.equal(late.count, 0);
  });

  test('an incomplete report is requested, however many reports of a silent host are pending', async () => {
    const told = { nowMs: 0, silent: 0, answered: 0 };
    const known = sampleReport({});
    const row = { guest: known.guest, source: known.from, destination: known.to };
    const migrations = { reportedBy: async () => ({ row, report: packed(known) }) };
    const ends: (() => void)[] = [];
    const late = new LateReports({
      migrations: migrations as unknown as Dependencies['migrations'],
      held: () => new Map(),
      log: silentLog,
      monotonicMs: () => told.nowMs,
      agentAt: ((host: string) => ({
        report: async () => {
          if (host === 'on') told.answered += 1;
          else {
            told.silent += 1;
            await new Promise<void>((resolve) => ends.push(resolve));
          }
          throw godwitError('GODWIT_UNREACHABLE', { peer: host, address: host, reason: 'silent' });
        },
      })) as unknown as Dependencies['agentAt'],
    });
    const ids = Array.from(
      { length: 30 },
      (_, at) => `m-${(at + 16).toString(16).padStart(8, '0')}`,
    );
    for (const id of ids) late.written('off', { ...known, id });
    late.written('on', known);
    for (let minute = 1; minute <= 10; minute += 1) {
      told.nowMs = minute * MINUTE_MS;
      late.turn(signal);
      await setImmediate();
      // Whoever does not answer is asked one thing at a time.
      assert.equal(told.silent, 1);
    }
    assert.equal(told.answered, 10);
    for (const end of ends) end();
    await late.settled();
  });

  test('the wait for a silent agent lasts at most a day and an hour, and ends once the host is removed', async () => {
    const silent = () => {
      throw godwitError('GODWIT_UNREACHABLE', {
        peer: 'a',
        address: 'a:1',
        reason: 'it is silent',
      });
    };
    const { late, told, kept, after } = world(sampleReport({}), silent);
    late.written('a', kept());
    await after(MINUTE_MS);
    assert.deepEqual([told.asked, late.count], [1, 1]);
    await after(26 * 3_600_000);
    assert.deepEqual([told.asked, late.count], [1, 0]);
    late.written('a', kept());
    late.left('a');
    assert.equal(late.count, 0);
  });

  test('a report of another migration does not complete it', async () => {
    const { late, kept, after } = world(sampleReport({}), () => ({
      ...sampleReport({ later: later(true) }),
      guest: 'other',
    }));
    late.written('a', kept());
    await after(MINUTE_MS);
    assert.equal(kept().vantages?.[0]?.latency?.later, undefined);
  });

  test('a report is not requested again if nothing more can come', () => {
    const { late } = world(sampleReport({}), () => sampleReport({}));
    late.written('a', sampleReport({ later: later(true) }));
    late.written('a', { ...sampleReport({}), outcome: 'failed' });
    assert.equal(late.count, 0);
  });
});
