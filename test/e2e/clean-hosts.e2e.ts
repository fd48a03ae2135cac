import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { until } from '../until.ts';
import { builtDeb } from './support/built-deb.ts';
import {
  addHost,
  makeNext,
  openCleanHosts,
  setUpFirst,
  startPlainGuest,
  untilKnown,
  upgrade,
  type CleanHosts,
} from './support/clean-hosts.ts';
import { bringDebian13, noCleanRoot } from './support/clean-root.ts';

const MOVE_MS = 120_000;
const MAX_COMMANDS = 10;

bringDebian13();

const summary = z.object({ phase: z.string(), takeovers: z.number().optional() });

describe('three clean hosts with Debian 13', { skip: noCleanRoot('trixie') ?? false }, () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'godwit-clean-hosts-'));
  let world: CleanHosts;

  before(async () => {
    world = await openCleanHosts(['a', 'b', 'c'], builtDeb(folder));
  });
  after(async () => {
    await world?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('the hosts become a fleet in ten commands, and the last one moves a guest', async () => {
    const a = world.host('a');
    await startPlainGuest(a, 'web1');
    await setUpFirst(world, 'a');
    await addHost(world, 'a', 'b');
    await world.type('a', 'godwit migrate web1 --to b');
    assert.match(await world.host('b').does('godwit guests'), /^web1 .*b .*running/m);
    assert.ok(world.typed.length <= MAX_COMMANDS, world.typed.join('\n'));
    await addHost(world, 'a', 'c');
    await untilKnown(world.host('b'), 'c');
    await world.type('b', 'godwit migrate web1 --to c');
    assert.match(await world.host('a').does('godwit guests'), /^web1 .*c .*running/m);
  });

  test('the hosts are upgraded and downgraded while the guest is on its way', async () => {
    for (const host of world.hosts) await makeNext(host);
    for (const [from, to, deb] of [
      ['c', 'a', '/next.deb'],
      ['a', 'b', '/godwit.deb'],
    ] as const) {
      const source = world.host(from);
      const id = (
        await source.does(
          `godwit migrate web1 --to ${to} --max-bandwidth 4mbit --max-downtime 1s --detach`,
        )
      ).match(/m-[0-9a-z]+/)?.[0];
      const look = async () =>
        summary.parse(JSON.parse(await source.does(`godwit report ${id} --json`)));
      await until('memory to be on its way', MOVE_MS, async () => {
        return (await look()).phase === 'memory' || undefined;
      });
      await Promise.all([upgrade(source, deb), upgrade(world.host(to), deb)]);
      assert.equal((await look()).phase, 'memory', 'the upgrade was over before the migration');
      const { exit, out } = await source.run(`godwit watch ${id}`);
      assert.equal(exit, 0, out);
      const { phase, takeovers } = await look();
      assert.deepEqual({ phase, takeovers }, { phase: 'done', takeovers: 0 });
      assert.match(
        await world.host(to).does('godwit guests'),
        new RegExp(`^web1 .*${to} .*running`, 'm'),
      );
    }
  });

  test('the hosts lose the package, and the guest keeps running', async () => {
    const b = world.host('b');
    for (const each of world.hosts) {
      await each.stopAgent();
      await each.does('dpkg --purge godwit');
    }
    assert.match(
      await b.does('cat /proc/[0-9]*/cmdline | tr "\\0" " "'),
      /qemu-system-x86_64 -name (guest=)?web1/,
    );
    assert.notEqual((await b.run('godwit --version')).exit, 0);
  });
});
