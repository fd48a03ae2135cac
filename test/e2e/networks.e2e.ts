import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { inHost } from '../../lab/entry.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { networkLacks } from '../../lab/network-lacks.ts';
import { LAB_NETWORKS } from '../../lab/plan.ts';
import { labHost } from '../../lab/state.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import { watchGuest, type WatchedGuest } from './support/client-view.ts';
import { assertSays, move, refusalOf, unlessForbidden, type Move } from './support/moves.ts';
import { watchMac } from './support/mac-watch.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { openWorld, type World } from './support/world.ts';

const run = promisify(execFile);
const MIB = 1024 ** 2;
/** Networks of a lab in which guests have ports of Linux bridges. */
const BRIDGED: ReadonlySet<string> = new Set(['bridge', 'vxlan', 'vlan']);

for (const network of LAB_NETWORKS) {
  const lacking = await networkLacks(network);
  describe(`a guest in a lab that is ${network}`, { skip: lacking?.message ?? false }, () => {
    let world: World;
    let watched: WatchedGuest;
    let mac: string;

    before(async () => {
      world = await openWorld(network, { hosts: 2, network });
      const memory = { memoryBytes: 256 * MIB, workingSetBytes: 24 * MIB };
      ({ mac } = await startGuest(world.lab, { name: 'web1', host: 'a', ...memory }));
      if (BRIDGED.has(network)) await isolatePorts('a');
      watched = await watchGuest(world, 'web1');
    });
    after(() => world?.close());

    async function moveThere(wanted: Omit<Move, 'guest'>): Promise<void> {
      await watched.unharmed(wanted.to, async () => {
        const report = await move(world, { guest: 'web1', ...wanted });
        assert.equal(report.outcome, 'done', JSON.stringify(report.error));
        const found = report.checks.filter(({ name }) => name === 'network');
        assert.ok(
          found.some(({ verdict }) => verdict === 'pass'),
          JSON.stringify(report.checks),
        );
      });
      await assertOnlyGuests(world, { [wanted.to]: ['web1'] });
      if (network === 'routed') await assertRoutedAt(wanted.to, wanted.from);
      if (BRIDGED.has(network)) assert.deepEqual(await isolatedPorts(wanted.to), ['on']);
    }

    /** Its owner keeps the guest apart from the other guests of its host. */
    async function isolatePorts(host: string): Promise<void> {
      for (const { ifname } of await guestPorts(host)) {
        await inside(host, 'bridge', 'link', 'set', 'dev', ifname, 'isolated', 'on');
      }
    }

    async function isolatedPorts(host: string): Promise<string[]> {
      return (await guestPorts(host)).map(({ isolated }) => (isolated ? 'on' : 'off'));
    }

    async function guestPorts(host: string): Promise<{ ifname: string; isolated: boolean }[]> {
      const ports = JSON.parse(await inside(host, 'bridge', '-d', '-j', 'link', 'show')) as {
        ifname: string;
        isolated: boolean;
      }[];
      return ports.filter(({ ifname }) => /^(tap|gw)/.test(ifname));
    }

    async function inside(host: string, ...words: string[]): Promise<string> {
      const [program = '', ...rest] = inHost(world.lab, host, words);
      return (await run(program, rest)).stdout;
    }

    /** The host that has the guest leads to its own port, and the other to the router. */
    async function assertRoutedAt(host: string, other: string): Promise<void> {
      assert.match(await routes(host), /^10\.88\.0\.21 dev gw\S+ scope link/m);
      assert.doesNotMatch(await routes(other), /^10\.88\.0\.21 /m);
    }

    async function routes(host: string): Promise<string> {
      return inside(host, 'ip', 'route', 'show');
    }

    test('a guest moves with its connection, and back over the port that the move created', async () => {
      await moveThere({ from: 'a', to: 'b' });
      await moveThere({ from: 'b', to: 'a' });
    });

    test('a guest moves by post-copy with its connection', async (t) => {
      await unlessForbidden(t, () => moveThere({ from: 'a', to: 'b', mode: 'postcopy' }));
    });

    test('a guest is heard from one host and then from the other, and never from both', async (t) => {
      if (network === 'routed') return t.skip('no frame of a routed guest leaves its host');
      const [from = ''] = await runningOn(world.lab, 'web1');
      const to = from === 'a' ? 'b' : 'a';
      const places = await watchMac(world, mac);
      try {
        await moveThere({ from, to });
        const heard = places.heardFrom();
        // What was heard before is recorded already, or was forgotten and is heard anew.
        assert.ok(
          [[to], [from, to]].some((each) => each.join() === heard.join()),
          heard.join(),
        );
      } finally {
        places.close();
      }
    });

    test('a guest is refused if the destination does not allow its addresses', async (t) => {
      if (network !== 'routed') return t.skip('a bridge has no addresses of guests');
      const [from = ''] = await runningOn(world.lab, 'web1');
      const to = from === 'a' ? 'b' : 'a';
      const { configFile } = labHost(world.lab, to);
      const text = await readFile(configFile, 'utf8');
      const config = JSON.parse(text) as { network: object };
      try {
        const other = { ...config.network, routedPrefixes: ['10.99.0.0/24'] };
        await writeFile(configFile, JSON.stringify({ ...config, network: other }));
        const error = await refusalOf(world, { guest: 'web1', from, to });
        assertSays(error, 'GODWIT_DEVICE_UNMAPPED', 'the route 10.88.0.21/32 is outside of');
        assert.match(error.hint, /network.routedPrefixes/);
      } finally {
        await writeFile(configFile, text);
      }
      await assertOnlyGuests(world, { [from]: ['web1'] });
    });

    test("a guest is refused if a rule of its host's packet filter names its port", async (t) => {
      if (network !== 'bridge') return t.skip('shown on a bridge');
      const [from = ''] = await runningOn(world.lab, 'web1');
      const to = from === 'a' ? 'b' : 'a';
      const [port] = await guestPorts(from);
      const nft = (words: string): Promise<string> => inside(from, 'nft', ...words.split(' '));
      await nft('add table bridge kept');
      try {
        await nft('add chain bridge kept x { type filter hook forward priority 0 ; }');
        await nft(`add rule bridge kept x iifname ${port?.ifname} counter`);
        const error = await refusalOf(world, { guest: 'web1', from, to });
        assertSays(error, 'GODWIT_CAPABILITY', `name the port ${port?.ifname} of`);
      } finally {
        await nft('delete table bridge kept');
      }
      await assertOnlyGuests(world, { [from]: ['web1'] });
    });

    test('a guest is refused before anything starts if the user maps it from a network that it is not in', async () => {
      const networks = { br7: 'br0' };
      const [host = ''] = await runningOn(world.lab, 'web1');
      const to = host === 'a' ? 'b' : 'a';
      const error = await refusalOf(world, { guest: 'web1', from: host, to, networks });
      assertSays(error, 'GODWIT_USAGE', 'web1 is in no network br7');
      await assertOnlyGuests(world, { [host]: ['web1'] });
    });
  });
}
