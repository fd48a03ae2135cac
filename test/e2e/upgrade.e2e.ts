import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startAgent, stopAgent, type Configure } from '../../lab/agents.ts';
import { stopGuest } from '../../lab/guest/stop.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { startWatchedGuest, type WatchedGuest } from './support/client-view.ts';
import {
  asBefore,
  earlierBuild,
  hasCommit,
  PREVIOUS,
  type EarlierBuild,
} from './support/earlier-build.ts';
import { begin, move, reportAtEnd, untilMemoryFlows } from './support/moves.ts';
import { killMover } from './support/movers.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;

const skip = hasCommit(PREVIOUS) ? false : `this checkout does not have commit ${PREVIOUS}`;

describe('while a fleet is upgraded', { skip }, () => {
  let previous: EarlierBuild | undefined;
  let earlier = '';
  let world: World;

  before(async () => {
    previous = earlierBuild(PREVIOUS);
    earlier = previous?.agent ?? '';
    const configure: Configure = (_host, own) => ({
      storage: undefined,
      drivers: undefined,
      ...asBefore(own),
    });
    world = await openWorld('upgr', { hosts: 2, configure });
  });
  after(async () => {
    await world?.close();
    previous?.remove();
  });

  /** A guest that somebody else started on a, for as long as `work` takes: its QEMU is of the same user for each build. */
  async function withGuest<T>(work: (web1: WatchedGuest) => Promise<T>): Promise<T> {
    const result = await work(await startWatchedGuest(world));
    await assertOnlyGuests(world, { a: ['web1'] });
    await stopGuest(world.lab, 'web1');
    return result;
  }

  /** Replaces a host's agent by another build's, as a package manager does: its movers stay. */
  async function replaceAgent(host: string, build: 'previous' | 'this'): Promise<void> {
    await stopAgent(world.lab, host);
    if (build === 'this') await startAgent(world.lab, host);
    else await startAgent(world.lab, host, undefined, earlier);
  }

  /** Moves the guest while a host's agent is replaced by this build's, and then does `harm`; moves it back after. */
  async function throughUpgrade(
    web1: WatchedGuest,
    host: string,
    harm: (id: string) => Promise<void>,
  ): Promise<Report> {
    await replaceAgent(host, 'previous');
    let report: Report | undefined;
    await web1.unharmed('b', async () => {
      const slow = { maxBandwidth: 24 * MIB };
      const id = await begin(world, { guest: 'web1', from: 'a', to: 'b', ...slow });
      await untilMemoryFlows(world, 'a', id);
      await replaceAgent(host, 'this');
      await harm(id);
      report = await reportAtEnd(world, 'a', id);
      assert.equal(report.outcome, 'done', JSON.stringify(report.error));
    });
    await web1.unharmed('a', () => move(world, { guest: 'web1', from: 'b', to: 'a' }));
    assert.ok(report !== undefined);
    return report;
  }

  test('agents of the previous build and of this one migrate in both directions', async () => {
    await replaceAgent('b', 'previous');
    await withGuest(async (web1) => {
      await web1.unharmed('b', () => move(world, { guest: 'web1', from: 'a', to: 'b' }));
      await web1.unharmed('a', () => move(world, { guest: 'web1', from: 'b', to: 'a' }));
      await replaceAgent('b', 'this');
    });
  });

  for (const host of ['a', 'b'] as const) {
    const side = host === 'a' ? 'source' : 'destination';
    test(`a migration that began before the agent of its ${side} was upgraded ends after it`, async () => {
      await withGuest((web1) => throughUpgrade(web1, host, () => Promise.resolve()));
    });

    test(`a dead mover of the ${side}'s previous build is followed by one of this build`, async () => {
      const { takeovers } = await withGuest((web1) =>
        throughUpgrade(web1, host, (id) => killMover(world, host, id)),
      );
      assert.equal(takeovers, host === 'a' ? 1 : 0);
    });
  }
});
