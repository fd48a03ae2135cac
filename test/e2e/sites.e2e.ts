import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { runCommand } from '../../lab/command.ts';
import { inHost } from '../../lab/entry.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { AGENT_PORT, hostAddress } from '../../lab/plan.ts';
import { storageDirectory } from '../../lab/state.ts';
import { writersOf } from '../../lab/witness/locks.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { watchGuest, type WatchedGuest } from './support/client-view.ts';
import { assertWrites } from './support/disks.ts';
import { begin, follow, move, reportAtEnd } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { partSites, siteConfig, SiteRelay } from './support/sites.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const GB = 1e9;
const DISK = 'disk0.qcow2';

describe('two hosts behind NATs with a common relay', () => {
  let world: World;
  let relay: SiteRelay;
  let web1: WatchedGuest;
  const name = `web${process.pid}`;

  before(async () => {
    world = await openWorld('sites', { hosts: 2, storage: 'local', configure: siteConfig });
    await partSites(world.lab);
    relay = await SiteRelay.start(world.lab);
    await startGuest(world.lab, {
      name,
      host: 'a',
      memoryBytes: 192 * MIB,
      workingSetBytes: 32 * MIB,
      dirtyBytesPerSecond: MIB,
      disks: [{ bytes: 32 * MIB, thin: true }],
    });
    web1 = await watchGuest(world, name);
  });
  after(() => world?.close());

  /** It is on `host` with its disk, whose one writer it is there, and of both nothing is left at the other host. */
  async function assertThere(host: string): Promise<void> {
    const image = path.join(storageDirectory(world.lab, host), name, DISK);
    assert.deepEqual(await writersOf(world.lab, name, image), [host]);
    const left = await readdir(storageDirectory(world.lab, host === 'a' ? 'b' : 'a'), {
      recursive: true,
    });
    assert.deepEqual(
      left.filter((file) => file !== name),
      [],
    );
    await assertWrites(world, name);
    await assertOnlyGuests(world, { [host]: [name] });
  }

  function assertByRelay({ wire, decisions, disks = [] }: Report): void {
    assert.ok(wire !== undefined);
    assert.match(decisions[0]?.what ?? '', /^memory goes by wire: .* a relay alone$/);
    assert.deepEqual(
      disks.map(({ state }) => state),
      ['ready'],
    );
  }

  /** Processor time of the relay for what passed, as a figure to read. */
  async function reportCost(t: TestContext, linkBytes: number, sinceMs: number): Promise<void> {
    const { residentBytes, processorMs } = await relay.cost();
    const perGb = ((processorMs - sinceMs) / 1000 / linkBytes) * GB;
    t.diagnostic(
      `relay: ${Math.round(residentBytes / MIB)} MiB resident at most, ${processorMs - sinceMs} ms of processor for ${linkBytes} bytes: ${perGb.toFixed(1)} s per GB`,
    );
  }

  test('the hosts cannot call each other', async () => {
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      const dial = `exec 3<>/dev/tcp/${hostAddress(to)}/${AGENT_PORT}`;
      const argv = inHost(world.lab, from, ['timeout', '2', 'bash', '-c', dial]);
      await assert.rejects(runCommand(argv));
    }
  });

  test('the hosts report that a guest can move, without moving one', async () => {
    const { hosts } = await world.agent('a').check({ body: { guest: name, to: 'b' } });
    const [found] = hosts;
    assert.deepEqual(
      found?.checks.filter(({ verdict }) => verdict === 'refuse'),
      [],
    );
    await assertThere('a');
  });

  test('a guest moves and returns with its disk', async (t) => {
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      const { processorMs } = await relay.cost();
      await web1.unharmed(to, async () => {
        const report = await move(world, { guest: name, from, to });
        assertByRelay(report);
        const bytes = (report.wire?.linkBytes ?? 0) + (report.diskLink?.linkBytes ?? 0);
        await reportCost(t, bytes, processorMs);
      });
      await assertThere(to);
    }
  });

  test('a guest arrives though the relay is killed and started again while its memory flows', async (t) => {
    for (const host of ['a', 'b']) await world.agent(host).pruneCache({ body: { bytes: 0 } });
    let report: Report | undefined;
    await web1.unharmed('b', async () => {
      const id = await begin(world, { guest: name, from: 'a', to: 'b', maxBandwidth: 4 * MIB });
      await follow(world, 'a', id, ({ phase, sample }) => {
        return phase === 'memory' && (sample?.transferredBytes ?? 0) > 2 * MIB;
      });
      await relay.kill();
      await relay.up();
      report = await reportAtEnd(world, 'a', id);
      assert.equal(report.outcome, 'done', JSON.stringify(report.error));
    });
    assert.ok(report !== undefined);
    assertByRelay(report);
    t.diagnostic(`${report.wire?.cuts} cuts, the longest of ${report.wire?.longestCutMs} ms`);
    assert.ok((report.wire?.cuts ?? 0) > 0);
    assert.equal(report.wire?.sessions, 1);
    await assertThere('b');
  });
});
