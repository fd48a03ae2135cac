/** A fleet that balances itself: real guests, real load, clients that are connected all the time. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { setBusy, verifyGuest } from '../../lab/guest/talk.ts';
import { openProbe, type Probe } from '../../lab/probe/probe.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import { policySettings } from '../../src/protocol/controller/policy.ts';
import { until } from '../until.ts';
import { withGuestStory } from './support/guest-story.ts';
import { HostCgroups, lacksCgroups } from './support/host-cgroups.ts';
import { LabController } from './support/lab-controller.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const LOOK_MS = 10_000;
const POLICY = { scope: 'fleet', kind: 'balance' } as const;
/** A move takes about as long as a look: the policy looks while the guest is under way. */
const LINK = 16 * MIB;
/** Where each guest is at first. */
const GUESTS = { one: 'a', two: 'a', three: 'b' } as const;
type Name = keyof typeof GUESTS;
const NAMES = Object.keys(GUESTS) as Name[];
/** Looks in a row at which nothing is to be done. */
const QUIET_LOOKS = 6;
const INTERVAL_MS = 25;
/**
 * Of a processor. Two are half as much again as their host has: at 60 they were seen to fill it and to wait for a seventh of
 * the time, which is hardly more than it has. One alone leaves its host room.
 */
const BUSY_PERCENT = 75;

const skip = lacksCgroups() ?? false;

describe('a fleet of three hosts under an automatic balance', { skip }, () => {
  let world: World;
  let cgroups: HostCgroups;
  let controller: LabController;
  const probes = new Map<Name, Probe>();

  before(async () => {
    cgroups = HostCgroups.open(`godwit-balance-${process.pid}`);
    world = await openWorld('balanc', {
      hosts: 3,
      linkBytesPerSecond: LINK,
      configure: cgroups.configure,
    });
    const { lab } = world;
    for (const name of NAMES) {
      const size = { memoryBytes: 160 * MIB, workingSetBytes: 24 * MIB };
      await startGuest(lab, { name, host: GUESTS[name], ...size });
    }
    await cgroups.enter(lab);
    controller = new LabController(world);
    await controller.prepare({ policies: { lookMs: LOOK_MS } });
    await controller.start();
    const body = policySettings.parse({ mode: 'automatic' });
    await controller.api.putPolicy({ params: POLICY, query: {}, body });
    for (const name of NAMES) {
      const probe = await openProbe(lab, name, { intervalMs: INTERVAL_MS });
      probes.set(name, probe);
      await probe.mark();
    }
  });
  after(async () => {
    for (const probe of probes.values()) await probe.stop();
    await controller?.close();
    await world?.close();
    await cgroups?.close();
  });

  const lookNow = async (): Promise<{ atMs: number; words: string }> => {
    const { policies } = await controller.api.policies();
    const { atMs = 0, words = '' } = policies.find(({ kind }) => kind === 'balance')?.look ?? {};
    return { atMs, words };
  };
  /** What the policy says at each of so many looks from now on. */
  const looks = async (count: number): Promise<string[]> => {
    const said: string[] = [];
    let { atMs } = await lookNow();
    while (said.length < count) {
      const next = await until('the next look', 6 * LOOK_MS, async () => {
        const look = await lookNow();
        return look.atMs > atMs ? look : undefined;
      });
      atMs = next.atMs;
      said.push(next.words);
    }
    return said;
  };
  const hosts = async (): Promise<Record<string, readonly string[]>> => {
    const all = NAMES.map(async (name) => [name, await runningOn(world.lab, name)] as const);
    return Object.fromEntries(await Promise.all(all));
  };

  test('the balance does nothing while no host is overloaded', async () => {
    const said = await until('looks that rest on samples', 60_000, async () => {
      const { words } = await lookNow();
      return words === 'nothing is to be moved' ? looks(2) : undefined;
    });
    assert.deepEqual(
      said,
      Array.from(said, () => 'nothing is to be moved'),
    );
  });

  test('the balance moves one guest once two guests overload a host', async () => {
    await setBusy(world.lab, 'three', 10);
    await setBusy(world.lab, 'one', BUSY_PERCENT);
    await setBusy(world.lab, 'two', BUSY_PERCENT);
    const done = await until('a proposal to be made and done', 120_000, async () => {
      const { proposals } = await controller.api.proposals({ query: { kind: 'balance' } });
      return proposals.find(({ state }) => state === 'done');
    });
    assert.deepEqual([done.reason, done.actual?.moved], ['contention', 1], JSON.stringify(done));
    const [move] = done.moves;
    assert.ok(move !== undefined && move.guest !== 'three');
    assert.deepEqual([move.from, move.to], ['a', 'c'], done.words);
    assert.deepEqual(await hosts(), {
      one: ['a'],
      two: ['a'],
      three: ['b'],
      [move.guest]: ['c'],
    });
  });

  test('the balance then does nothing as long as nothing changes, and every client is still connected', async () => {
    const before = await hosts();
    const said = await looks(QUIET_LOOKS);
    const { proposals } = await controller.api.proposals({ query: { kind: 'balance' } });
    const words = proposals.map((each) => `${each.state}: ${each.words}`);
    assert.deepEqual(
      said,
      Array.from(said, () => 'nothing is to be moved'),
      words.join('\n'),
    );
    assert.equal(proposals.length, 1, words.join('\n'));
    assert.deepEqual(await hosts(), before);
    for (const [name, probe] of probes) {
      const view = await withGuestStory(world.lab, name, () => probe.settle(30_000));
      assert.equal(view.connectionKept, true, JSON.stringify(view));
      await setBusy(world.lab, name, 0);
      assert.equal((await verifyGuest(world.lab, name)).ok, true);
    }
  });
});
