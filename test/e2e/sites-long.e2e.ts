import assert from 'node:assert/strict';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test, type TestContext } from 'node:test';
import { runCommand } from '../../lab/command.ts';
import { inLab } from '../../lab/entry.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { portNames } from '../../lab/network-plan.ts';
import { namespaceOf } from '../../lab/plan.ts';
import { storageDirectory } from '../../lab/state.ts';
import { writersOf } from '../../lab/witness/locks.ts';
import type { Mode, Report } from '../../src/protocol/public/migration.ts';
import { watchGuest, type WatchedGuest } from './support/client-view.ts';
import { assertWrites } from './support/disks.ts';
import { begin, follow, reportAtEnd, unlessForbidden } from './support/moves.ts';
import { assertOnlyGuests, hostsNow } from './support/remains.ts';
import { partSites, siteConfig, SiteRelay } from './support/sites.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
/** 100 Mbit/s. */
const THIN = 12_500_000;
/** A round trip from a host to the relay: half of the one from site to site. */
const LEG_MS = 25;
/** Cuts of each leg in one migration, from 1 to 30 s long, where more are asked for than the few of each run. */
const CUTS = Number(process.env['GODWIT_SITE_CUTS'] ?? 0);
const KILLS = Number(process.env['GODWIT_RELAY_KILLS'] ?? 1);
/** How long the leg of the source and the one of the destination are cut, in turn, ms. */
const CUTS_MS: readonly (readonly [number, number])[] =
  CUTS === 0
    ? [[1000, 5000]]
    : Array.from({ length: CUTS }, (_, turn) => {
        const ms = 1000 + Math.round((29_000 * turn) / Math.max(1, CUTS - 1));
        return [ms, ms];
      });
/** Slow enough that memory still flows after the last of them; what it writes to its disk is copied at the same rate. */
const FLOW =
  CUTS === 0
    ? { bytesPerS: 2 * MIB, dirtyBytesPerS: MIB, timeoutMs: 600_000 }
    : {
        bytesPerS: MIB / 2,
        dirtyBytesPerS: MIB / 16,
        diskBytesPerS: MIB / 16,
        timeoutMs: 3_600_000,
      };
/** As much passes between two cuts, so that each is a cut of its own. */
const BETWEEN = MIB / 16;

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
      dirtyBytesPerSecond: FLOW.dirtyBytesPerS,
      disks: [{ bytes: 32 * MIB, thin: true }],
      diskBytesPerSecond: FLOW.diskBytesPerS,
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

  /** Resolves once more of the memory has left the source than at this moment. */
  async function flowsAgain(from: string, id: string): Promise<void> {
    let before: number | undefined;
    await follow(world, from, id, ({ sample }) => {
      const bytes = sample?.transferredBytes;
      if (bytes === undefined) return false;
      before ??= bytes;
      return bytes > before + BETWEEN;
    });
  }

  /** Moves it while both legs are cut and the relay is killed once its memory flows; it is there alone, with its disk. */
  async function moveThroughCuts(t: TestContext, from: string, to: string, mode: Mode) {
    for (const host of ['a', 'b']) await world.agent(host).pruneCache({ body: { bytes: 0 } });
    let report: Report | undefined;
    await web1.unharmed(to, async () => {
      const { bytesPerS: maxBandwidth, timeoutMs } = FLOW;
      const id = await begin(world, { guest: name, from, to, mode, maxBandwidth, timeoutMs });
      // By post-copy the guest is over already when most of its memory is not.
      await follow(world, from, id, ({ phase, sample }) =>
        mode === 'postcopy'
          ? phase === 'draining'
          : phase === 'memory' && (sample?.transferredBytes ?? 0) > MIB,
      );
      for (const [atSourceMs, atDestinationMs] of CUTS_MS) {
        await cut(from, atSourceMs);
        await flowsAgain(from, id);
        await cut(to, atDestinationMs);
        await flowsAgain(from, id);
      }
      for (let kill = 0; kill < KILLS; kill += 1) {
        if (kill > 0) await flowsAgain(from, id);
        await relay.kill();
        await relay.up();
      }
      report = await reportAtEnd(world, from, id, timeoutMs);
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
