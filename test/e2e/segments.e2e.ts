import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { runCommand } from '../../lab/command.ts';
import { inHost } from '../../lab/entry.ts';
import { CLIENT_ADDRESS } from '../../lab/plan.ts';
import { startGuest } from '../../lab/guest/start.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { watchGuest, type WatchedGuest } from './support/client-view.ts';
import { assertSays, refusalOf, unlessForbidden, type Move } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { listenTo } from './support/frame-sources.ts';
import { moveOver } from './support/move-over.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

describe('the segment of a guest', () => {
  let world: World;
  let watched: WatchedGuest;
  let guest: { readonly mac: string; readonly address: string };

  before(async () => {
    world = await openWorld('segm', { hosts: 2 });
    guest = await startGuest(world.lab, { name: 'web1', host: 'a', ...SMALL_GUEST });
    watched = await watchGuest(world, 'web1');
  });
  after(() => world?.close());

  const on = (member: string, command: string): Promise<string> =>
    runCommand(inHost(world.lab, member, command.split(' ')));
  /** As if b had spoken with the guest. */
  const know = (address: string): Promise<string> =>
    on('b', `ip neigh replace ${address} lladdr ${guest.mac} dev br0 nud stale`);
  const said = ({ checks }: Report): string =>
    checks
      .flatMap(({ name, verdict, evidence }) =>
        name === 'segment' ? [`${verdict}: ${evidence}`] : [],
      )
      .join('\n');

  const over = (wanted: Omit<Move, 'guest'>): Promise<Report> =>
    moveOver(world, watched, { guest: 'web1', ...wanted });

  test('a guest is refused if another machine answers for it there', async () => {
    await know(guest.address);
    await on('client', `ip addr add ${guest.address}/32 dev eth0`);
    try {
      const error = await refusalOf(world, { guest: 'web1', from: 'a', to: 'b' });
      assertSays(error, 'GODWIT_DEVICE_UNMAPPED', `answers for ${guest.address} on br0`, guest.mac);
    } finally {
      await on('client', `ip addr del ${guest.address}/32 dev eth0`);
    }
    await assertOnlyGuests(world, { a: ['web1'] });
  });

  test('a guest is refused if another port has its MAC already', async () => {
    await on('b', 'ip tuntap add dev twin mode tap');
    try {
      await on('b', 'ip link set dev twin master br0 up');
      await on('b', `bridge fdb replace ${guest.mac} dev twin master static`);
      const error = await refusalOf(world, { guest: 'web1', from: 'a', to: 'b' });
      assertSays(error, 'GODWIT_DEVICE_UNMAPPED', `${guest.mac} is behind twin of br0 already`);
    } finally {
      await on('b', 'ip link del dev twin');
    }
    await assertOnlyGuests(world, { a: ['web1'] });
  });

  test('the segment is known by the answer of the guest; after its first frame there the source sends none', async () => {
    await on('b', 'ip addr add 10.88.0.2/24 dev br0');
    await on('b', `ip route add default via ${CLIENT_ADDRESS} dev br0`);
    await know(guest.address);
    const voices = await listenTo(world, guest.mac, { from: 'a', to: 'b' });
    try {
      const report = await over({ from: 'a', to: 'b' });
      assert.match(
        said(report),
        /^pass: \S+: [0-9.]+ answers on br0 with its MAC \S+; gateway 10\.88\.0\.10 is \S{17}$/,
      );
      const { before: there, after: here, late } = await voices.heard();
      assert.ok(there > 0 && here > 0, `${there} and ${here} frames`);
      assert.equal(late, 0);
    } finally {
      await voices.close();
    }
  });

  test('the segment hears a guest from one host only by post-copy, too', async (t) => {
    const voices = await listenTo(world, guest.mac, { from: 'b', to: 'a' });
    try {
      await unlessForbidden(t, async () => {
        const report = await over({ from: 'b', to: 'a', mode: 'postcopy' });
        assert.match(said(report), /^pass: /);
        const { before: there, after: here, late } = await voices.heard();
        assert.ok(there > 0 && here > 0, `${there} and ${here} frames`);
        assert.equal(late, 0);
      });
    } finally {
      await voices.close();
    }
  });

  test('the segment is in doubt, and reported so, if there is no answer', async () => {
    await on('b', 'ip neigh flush dev br0');
    await know('10.88.0.99');
    const report = await over({ from: 'a', to: 'b' });
    assert.match(said(report), /^warn: \S+: nobody on br0 answers for 10\.88\.0\.99/);
  });
});
