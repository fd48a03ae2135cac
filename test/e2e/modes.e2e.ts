import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { report, type Report } from '../../src/protocol/public/migration.ts';
import { godwit } from './support/cli.ts';
import { watchGuest, type WatchedGuest } from './support/client-view.ts';
import { askGuestQemu } from './support/monitors.ts';
import {
  begin,
  move,
  reportAtEnd,
  unlessForbidden,
  untilMemoryFlows,
  type Move,
} from './support/moves.ts';
import { assertConfined } from './support/confinement.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const MEMORY_BYTES = 256 * MIB;
const WORKING_SET_BYTES = 24 * MIB;
/** Of a guest whose moves differ by what it writes meanwhile, more on a busy machine. */
const FEWER = 0.8;

describe('a running guest', () => {
  let world: World;
  const guests: Record<string, WatchedGuest> = {};
  /** Of one stream that compresses nothing. */
  let plainBytes = 0;

  before(async () => {
    world = await openWorld('modes', { hosts: 2 });
    const common = { memoryBytes: MEMORY_BYTES, workingSetBytes: WORKING_SET_BYTES };
    const dirtyBytesPerSecond = 4 * MIB;
    await Promise.all([
      startGuest(world.lab, { name: 'web1', host: 'a', dirtyBytesPerSecond, ...common }),
      startGuest(world.lab, { name: 'web2', host: 'b', dirtyBytesPerSecond, ...common }),
    ]);
    for (const name of ['web1', 'web2']) guests[name] = await watchGuest(world, name);
  });
  after(() => world?.close());

  /** Moves web1 to the host where it is not, looks at it from all sides, and returns the report. */
  async function moveWeb1(request: Partial<Move>): Promise<Report> {
    const { from, to } = await wayOfWeb1();
    let made: Report | undefined;
    await guests['web1']?.unharmed(to, async () => {
      made = await move(world, { guest: 'web1', from, to, ...request });
    });
    assert.ok(made !== undefined);
    assertSane(made);
    await assertWeb1On(to);
    return made;
  }

  test('a guest crosses another one that moves the other way at the same time', async () => {
    const [web1, web2] = [guests['web1'], guests['web2']];
    assert.ok(web1 !== undefined && web2 !== undefined);
    await web1.unharmed('b', () =>
      web2.unharmed('a', async () => {
        const reports = await Promise.all([
          move(world, { guest: 'web1', from: 'a', to: 'b' }),
          move(world, { guest: 'web2', from: 'b', to: 'a' }),
        ]);
        reports.forEach(assertSane);
      }),
    );
    await assertOnlyGuests(world, { a: ['web2'], b: ['web1'] });
    await assertConfined(world, 'web1', 'b');
    await assertConfined(world, 'web2', 'a');
  });

  test('a guest moves by post-copy', async (t) => {
    const report = await unlessForbidden(t, () => moveWeb1({ mode: 'postcopy' }));
    if (report !== undefined) assert.equal(report.finished, 'postcopy');
  });

  test('a guest moves by pre-copy, at one command', async () => {
    const { from, to } = await wayOfWeb1();
    await guests['web1']?.unharmed(to, async () => {
      const moved = await godwit(world, 'migrate', 'web1', '--to', to, '--json');
      assert.equal(moved.exit, 0, moved.err);
      const made = report.parse(JSON.parse(moved.out));
      assertSane(made);
      assert.equal(made.finished, 'precopy');
      plainBytes = made.bytes ?? 0;
      assert.ok(made.downtimeMs !== undefined && made.blackoutMs !== undefined);
      const shown = await godwit(world, 'report', made.id);
      assert.ok(shown.out.includes(`web1 moved from ${from} to ${to}`), shown.out);
    });
    await assertWeb1On(to);
  });

  test('a guest moves by pre-copy first and then by post-copy, as ordered after one round', async (t) => {
    const settings = { mode: 'hybrid', hybridRounds: 1, maxDowntimeMs: 1 } as const;
    const report = await unlessForbidden(t, () =>
      moveWeb1({ ...settings, maxBandwidth: 32 * MIB }),
    );
    if (report === undefined) return;
    assert.equal(report.finished, 'postcopy');
    assert.ok(report.decisions.length > 0, 'the decision is kept with its reason');
  });

  test('a guest moves over four streams, compressed by zstd, with fewer bytes', async (t) => {
    const { bytes = 0 } = await moveWeb1({ streams: 4, compress: 'zstd' });
    t.diagnostic(`${bytes} bytes, ${plainBytes} without`);
    assert.ok(bytes < plainBytes * FEWER, `${bytes} of ${plainBytes} bytes`);
  });

  test('a guest moves with xbzrle under a bandwidth cap, which it respects, and never in plain text', async () => {
    const { from, to } = await wayOfWeb1();
    const maxBandwidth = 32 * MIB;
    await guests['web1']?.unharmed(to, async () => {
      const id = await begin(world, { guest: 'web1', from, to, compress: 'xbzrle', maxBandwidth });
      await untilMemoryFlows(world, from, id);
      for (const host of ['a', 'b']) {
        const set = await askGuestQemu(world, 'web1', host, 'query-migrate-parameters');
        assert.match((set as { 'tls-creds': string })['tls-creds'], /./, `TLS on ${host}`);
      }
      const capabilities = await askGuestQemu(world, 'web1', from, 'query-migrate-capabilities');
      assert.ok(isOn(capabilities, 'xbzrle'));
      const report = await reportAtEnd(world, from, id);
      assert.equal(report.outcome, 'done', JSON.stringify(report.error));
      assertSane(report);
      const { throughput = Infinity } = report;
      assert.ok(throughput < maxBandwidth * 1.25, `${throughput} bytes/s`);
      const after = await askGuestQemu(world, 'web1', to, 'query-migrate-capabilities');
      assert.equal(isOn(after, 'xbzrle'), false, 'what was set for the move is set back');
    });
  });

  /** From where web1 is now to where it is not. */
  async function wayOfWeb1(): Promise<{ from: string; to: string }> {
    const { guests: onA } = await world.agent('a').guests();
    const isOnA = onA.some(({ name }) => name === 'web1');
    return isOnA ? { from: 'a', to: 'b' } : { from: 'b', to: 'a' };
  }

  /** After the first test web2 is on a. */
  async function assertWeb1On(host: string): Promise<void> {
    const both = { a: ['web1', 'web2'] };
    await assertOnlyGuests(world, host === 'a' ? both : { a: ['web2'], b: ['web1'] });
    await assertConfined(world, 'web1', host);
  }
});

/** Figures that any move of such a guest must have, whatever the machine. */
function assertSane(report: Report): void {
  const { totalMs, downtimeMs = 0, blackoutMs = 0, bytes = 0, rounds = 0, phases } = report;
  assert.equal(report.outcome, 'done');
  assert.equal(report.phase, 'done');
  assert.equal(report.runsAt, 'destination');
  assert.equal(report.memoryBytes, MEMORY_BYTES);
  assert.equal(report.takeovers, 0);
  assert.ok(downtimeMs < totalMs && blackoutMs < totalMs, JSON.stringify(report));
  assert.ok(bytes > MIB && bytes < MEMORY_BYTES * 4, `${bytes} bytes`);
  assert.ok(rounds >= 1, `${rounds} rounds`);
  assert.equal(report.roundList.at(-1)?.round, rounds);
  assert.equal(report.roundList.at(-1)?.transferredBytes, bytes);
  assert.ok(report.roundList.every((round) => round.transferredBytes > 0 && round.atMs <= totalMs));
  assert.ok((report.throughput ?? 0) > 0);
  assert.ok(report.checks.length > 0);
  assert.ok(report.checks.every(({ verdict }) => verdict !== 'refuse'));
  const sumMs = phases.reduce((sum, { ms }) => sum + ms, 0);
  assert.ok(Math.abs(sumMs - totalMs) < totalMs * 0.1 + 50, `${sumMs} of ${totalMs} ms`);
  assert.ok(Date.parse(report.startedAt) < Date.parse(report.endedAt ?? ''));
}

function isOn(capabilities: unknown, name: string): boolean {
  const list = capabilities as { capability: string; state: boolean }[];
  return list.some(({ capability, state }) => capability === name && state);
}
