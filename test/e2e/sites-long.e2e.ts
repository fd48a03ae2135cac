import assert from 'node:assert/strict';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { runCommand } from '../../src/lab/command.ts';
import { inLab } from '../../src/lab/entry.ts';
import { startGuest } from '../../src/lab/guest/start.ts';
import { portNames } from '../../src/lab/network-plan.ts';
import { namespaceOf } from '../../src/lab/plan.ts';
import { storageDirectory } from '../../src/lab/state.ts';
import { writersOf } from '../../src/lab/witness/locks.ts';
import type { Mode, Report } from '../../src/protocol/public/migration.ts';
import { watchGuest } from './support/client-view.ts';
import type { WatchedGuest } from './support/client-view.ts';
import { assertWrites } from './support/disks.ts';
import { begin, follow, reportAtEnd, unlessForbidden } from './support/moves.ts';
import { assertOnlyGuests, hostsNow } from './support/remains.ts';
import { partSites, siteConfig, SiteRelay } from './support/sites.ts';
import { openWorld } from './support/world.ts';
import type { World } from './support/world.ts';

const MIB = 1024 ** 2;
/** 100 Mbit/s. */
const THIN = 12_500_000;
/** A round trip from a host to the relay: half of the one from site to site. */
const LEG_MS = 25;

describe('two sites 50 ms and 100 Mbit/s apart, each behind a NAT, with a relay between', () => {
  let world: World;
  let relay: SiteRelay;
  /** The same world, whose host of the relay is not bare. */
  let withRelay: World;
  let web1: WatchedGuest;
  const name = `long${process.pid}`;

  before(async () => {
    const sites = { hosts: 3, storage: 'local' as const, configure: siteConfig };
    world = await openWorld('long', { ...sites, delayMs: LEG_MS, linkBytesPerSecond: THIN });
    await partSites(world.lab, 'c');
    relay = await SiteRelay.start(world.lab, 'c');
    withRelay = { ...world, bare: await hostsNow(world.lab) };
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

  /** A leg takes nothing for so long, and nobody is notified. */
  async function cut(host: string, ms: number): Promise<void> {
    const { bridge, port } = portNames(host);
    const set = (...state: string[]): Promise<string> => {
      const { entry, name: lab } = world.lab;
      const argv = ['ip', '-n', namespaceOf(lab, 'switch'), 'link', 'set', port, ...state];
      return runCommand(inLab(entry, argv));
    };
    await set('nomaster');
    try {
      await delay(ms);
    } finally {
      await set('master', bridge);
    }
  }

  /** Moves it while both legs are cut and the relay is killed once its memory flows; it is there alone, with its disk. */
  async function moveThroughCuts(t: TestContext, from: string, to: string, mode: Mode) {
    for (const host of ['a', 'b']) await world.agent(host).pruneCache({ body: { bytes: 0 } });
    let report: Report | undefined;
    await web1.unharmed(to, async () => {
      const id = await begin(world, { guest: name, from, to, mode, maxBandwidth: 2 * MIB });
      // By post-copy the guest is over already when most of its memory is not.
      await follow(world, from, id, ({ phase, sample }) =>
        mode === 'postcopy'
          ? phase === 'draining'
          : phase === 'memory' && (sample?.transferredBytes ?? 0) > MIB,
      );
      await cut(from, 1000);
      await cut(to, 5000);
      await relay.kill();
      await relay.up();
      report = await reportAtEnd(world, from, id);
    });
    assert.ok(report !== undefined);
    assert.equal(report.outcome, 'done', JSON.stringify(report.error));
    t.diagnostic(
      `${mode}: ${report.totalMs} ms, blackout ${report.downtimeMs} ms, ${report.wire?.cuts} cuts, the longest of ${report.wire?.longestCutMs} ms`,
    );
    assert.ok((report.wire?.cuts ?? 0) > 0);
    const image = path.join(storageDirectory(world.lab, to), name, 'disk0.qcow2');
    assert.deepEqual(await writersOf(world.lab, name, image), [to]);
    await assertWrites(world, name);
    await assertOnlyGuests(withRelay, { [to]: [name] });
  }

  test('a guest arrives by pre-copy with its disk though both legs are cut and the relay is killed', (t) =>
    moveThroughCuts(t, 'a', 'b', 'precopy'));

  test('a guest comes back by post-copy with its disk though both legs are cut and the relay is killed', (t) =>
    unlessForbidden(t, () => moveThroughCuts(t, 'b', 'a', 'postcopy')));
});
