import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { inHost } from '../../lab/entry.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { AGENT_PORT, hostAddress, migrationLink } from '../../lab/plan.ts';
import { labHost } from '../../lab/state.ts';
import { watchGuest, type WatchedGuest } from './support/client-view.ts';
import { move, unlessForbidden, type Move } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { openWorld, restingHosts, type World } from './support/world.ts';

const run = promisify(execFile);
const MIB = 1024 ** 2;
const HOSTS = ['a', 'b'];

const addressOf = (host: string): string => `[fd77::${host}]:${AGENT_PORT}`;

/** Takes IPv4 away from the links between the hosts, and has their agents serve and be known by IPv6. */
async function makeIpv6Only(world: World): Promise<void> {
  const { lab } = world;
  for (const host of HOSTS) {
    const link = migrationLink(0);
    for (const words of [
      // Where the machine has it switched off.
      ['sysctl', '-qw', `net.ipv6.conf.${link}.disable_ipv6=0`],
      ['ip', '-6', 'addr', 'add', `fd77::${host}/64`, 'dev', link, 'nodad'],
      ['ip', '-4', 'addr', 'del', `${hostAddress(host)}/24`, 'dev', link],
    ]) {
      const [program = '', ...rest] = inHost(lab, host, words);
      await run(program, rest);
    }
    const { configFile } = labHost(lab, host);
    const config = JSON.parse(await readFile(configFile, 'utf8')) as object;
    const peers = Object.fromEntries(
      HOSTS.filter((each) => each !== host).map((each) => [each, { address: addressOf(each) }]),
    );
    await writeFile(configFile, JSON.stringify({ ...config, address: addressOf(host), peers }));
  }
  for (const host of HOSTS) {
    await stopAgent(lab, host);
    await startAgent(lab, host);
  }
  await restingHosts(lab);
}

describe('hosts with IPv6 only', () => {
  let world: World;
  let watched: WatchedGuest;

  before(async () => {
    world = await openWorld('ipv6', { hosts: 2 });
    await makeIpv6Only(world);
    // The census counts ports of IPv4, and none is left.
    world = { ...world, bare: world.bare.map((each) => ({ ...each, ports: [] })) };
    const memory = { memoryBytes: 192 * MIB, workingSetBytes: 16 * MIB };
    await startGuest(world.lab, { name: 'web1', host: 'a', ...memory });
    watched = await watchGuest(world, 'web1');
  });
  after(() => world?.close());

  async function moveThere(wanted: Omit<Move, 'guest'>): Promise<void> {
    await watched.unharmed(wanted.to, async () => {
      const report = await move(world, { guest: 'web1', ...wanted });
      assert.equal(report.outcome, 'done', JSON.stringify(report.error));
    });
    await assertOnlyGuests(world, { [wanted.to]: ['web1'] });
  }

  test('a guest moves from hypervisor to hypervisor', async () => {
    await moveThere({ from: 'a', to: 'b', path: 'native' });
  });

  test('a guest moves over the wire', async () => {
    await moveThere({ from: 'b', to: 'a', path: 'wire' });
  });

  test('a guest moves by post-copy', async (t) => {
    await unlessForbidden(t, () => moveThere({ from: 'a', to: 'b', mode: 'postcopy' }));
  });
});
