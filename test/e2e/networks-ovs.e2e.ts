import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runCommand } from '../../lab/command.ts';
import { inHost } from '../../lab/entry.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { networkLacks } from '../../lab/network-lacks.ts';
import { ovsEnvironment } from '../../lab/openvswitch.ts';
import { labDown } from '../../lab/down.ts';
import { runningOn } from '../../lab/witness/qemus.ts';

import type { Report } from '../../src/protocol/public/migration.ts';
import { watchGuest, type WatchedGuest } from './support/client-view.ts';
import { assertSays, move, refusalOf, unlessForbidden, type Move } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { listenTo } from './support/frame-sources.ts';
import { moveOver } from './support/move-over.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';
import { startTicksOf } from '../../src/system/processes/process.ts';
import { until } from '../until.ts';
import { labDirectory } from '../../src/cli/connection/labs.ts';

const lacking = await networkLacks('ovs');

describe('a guest of Open vSwitch', { skip: lacking?.message ?? false }, () => {
  let world: World;
  let watched: WatchedGuest;
  let guest: { readonly mac: string; readonly address: string };

  before(async () => {
    world = await openWorld('ovs', { hosts: 2, network: 'ovs' });
    guest = await startGuest(world.lab, { name: 'web1', host: 'a', vlan: 20, ...SMALL_GUEST });
    watched = await watchGuest(world, 'web1');
  });
  after(() => world?.close());

  const on = (member: string, command: string): Promise<string> =>
    runCommand(inHost(world.lab, member, command.split(' ')));
  const vsctl = (member: string, command: string): Promise<string> => {
    const marks = Object.entries(ovsEnvironment(world.lab, member)).map(
      ([key, to]) => `${key}=${to}`,
    );
    return on(member, `env ${marks.join(' ')} ovs-vsctl --timeout=10 ${command}`);
  };
  const isGuests = (port: string): boolean => /^(tap|gw)/.test(port);
  async function places(): Promise<{ from: string; to: string }> {
    const [from = ''] = await runningOn(world.lab, 'web1');
    return { from, to: from === 'a' ? 'b' : 'a' };
  }
  /** The guests' ports that a host's switch has, with their tags. */
  async function guestPorts(host: string, bridge = 'br0'): Promise<string[]> {
    const names = (await vsctl(host, `list-ports ${bridge}`)).trim().split('\n');
    return Promise.all(
      names
        .filter(isGuests)
        .map(async (name) => `tag ${(await vsctl(host, `get port ${name} tag`)).trim()}`),
    );
  }
  const said = ({ checks }: Report, name: string): string =>
    checks
      .flatMap((each) => (each.name === name ? [`${each.verdict}: ${each.evidence}`] : []))
      .join('\n');

  const over = (wanted: Omit<Move, 'guest'>): Promise<Report> =>
    moveOver(world, watched, { guest: 'web1', ...wanted });

  async function oneVoice(wanted: Omit<Move, 'guest'>): Promise<Report> {
    const voices = await listenTo(world, guest.mac, wanted);
    try {
      const report = await over(wanted);
      const { before: there, after: here, late } = await voices.heard();
      assert.ok(there > 0 && here > 0, `${there} and ${here} frames`);
      assert.equal(late, 0);
      return report;
    } finally {
      await voices.close();
    }
  }

  test('a guest keeps its tag; the source sends no frame after the first one there, and no port is left', async () => {
    const report = await oneVoice({ from: 'a', to: 'b' });
    assert.match(said(report, 'network'), /by its name br0 \(Open vSwitch\), VLAN 20/);
    assert.deepEqual(await guestPorts('a'), []);
    assert.deepEqual(await guestPorts('b'), ['tag 20']);
  });

  test('a guest is heard from only one host by post-copy, too', async (t) => {
    await unlessForbidden(t, () => oneVoice({ from: 'b', to: 'a', mode: 'postcopy' }));
  });

  test('a guest is probed in its own VLAN, and refused if another machine answers for it there', async () => {
    const { from, to } = await places();
    await on(to, `ip neigh replace ${guest.address} lladdr ${guest.mac} dev br0 nud stale`);
    await on('client', `ip addr add ${guest.address}/32 dev vlan20`);
    try {
      const error = await refusalOf(world, { guest: 'web1', from, to });
      assertSays(error, 'GODWIT_DEVICE_UNMAPPED', `answers for ${guest.address} on br0`, guest.mac);
    } finally {
      await on('client', `ip addr del ${guest.address}/32 dev vlan20`);
    }
    assert.deepEqual(await guestPorts(to), []);
    await assertOnlyGuests(world, { [from]: ['web1'] });
  });

  test('a guest is refused if the uplink there does not carry its VLAN', async () => {
    const { from, to } = await places();
    await vsctl(to, 'set port lan0 trunks=10,30');
    try {
      const error = await refusalOf(world, { guest: 'web1', from, to });
      assertSays(error, 'GODWIT_DEVICE_UNMAPPED', 'no port of br0 carries VLAN 20');
    } finally {
      await vsctl(to, 'clear port lan0 trunks');
    }
    await assertOnlyGuests(world, { [from]: ['web1'] });
  });

  test('a guest moves to the bridge that the user names, including as a trunk, and back', async () => {
    const { from, to } = await places();
    const datapath = (await vsctl(to, 'get bridge br0 datapath_type')).trim();
    const [port = ''] = (await vsctl(from, 'list-ports br0')).split('\n').filter(isGuests);
    const trunk = 'tag=20 vlan_mode=native-untagged trunks=30,40';
    await vsctl(from, `set port ${port} ${trunk}`);
    await vsctl(to, `add-br br1 -- set bridge br1 datapath_type=${datapath}`);
    await vsctl(to, 'del-port lan0 -- add-port br1 lan0');
    const error = await refusalOf(world, { guest: 'web1', from, to });
    assertSays(error, 'GODWIT_DEVICE_UNMAPPED', 'no port of br0 carries VLAN 20, 30, 40');
    await watched.unharmed(to, () =>
      move(world, { guest: 'web1', from, to, networks: { br0: 'br1' } }),
    );
    const [there = ''] = (await vsctl(to, 'list-ports br1')).split('\n').filter(isGuests);
    const marks = await vsctl(to, `get port ${there} tag vlan_mode trunks`);
    assert.deepEqual(marks.trim().split('\n'), ['20', 'native-untagged', '[30, 40]']);
    await watched.unharmed(from, () =>
      move(world, { guest: 'web1', from: to, to: from, networks: { br1: 'br0' } }),
    );
    await vsctl(to, 'del-br br1 -- add-port br0 lan0');
    await assertOnlyGuests(world, { [from]: ['web1'] });
  });

  test('a guest moves to a Linux bridge and comes back from it', async () => {
    const { from, to } = await places();
    const [port = ''] = (await vsctl(from, 'list-ports br0')).split('\n').filter(isGuests);
    // Untagged all the way: the other bridge knows no VLANs.
    await vsctl(from, `clear port ${port} tag vlan_mode trunks`);
    await vsctl('client', 'clear port vlan20 tag');
    await vsctl(to, 'del-port lan0');
    await on(to, 'ip link add brl type bridge forward_delay 0');
    await on(to, 'ip link set brl up');
    await on(to, 'ip link set lan0 master brl');
    await watched.unharmed(to, () =>
      move(world, { guest: 'web1', from, to, networks: { br0: 'brl' } }),
    );
    assert.match(await on(to, 'ip -br link show master brl'), /^gw/m);
    await watched.unharmed(from, () =>
      move(world, { guest: 'web1', from: to, to: from, networks: { brl: 'br0' } }),
    );
    assert.deepEqual(await guestPorts(from), ['tag []']);
    await on(to, 'ip link del brl');
    await vsctl(to, 'add-port br0 lan0');
    await assertOnlyGuests(world, { [from]: ['web1'] });
  });

  test("a guest is refused, and does not wait, if a switch's database has stopped answering", async () => {
    const { from, to } = await places();
    for (const host of [to, from]) {
      const pid = Number(
        await readFile(`${labDirectory(world.lab.name)}/ovs/${host}/ovsdb-server.pid`, 'utf8'),
      );
      process.kill(pid, 'SIGSTOP');
      try {
        const error = await refusalOf(world, { guest: 'web1', from, to });
        const why =
          host === to ? 'there is no bridge br0' : 'is in no bridge that this host reports';
        assertSays(error, 'GODWIT_DEVICE_UNMAPPED', why);
      } finally {
        process.kill(pid, 'SIGCONT');
      }
    }
    assert.deepEqual(await runningOn(world.lab, 'web1'), [from]);
    await assertOnlyGuests(world, { [from]: ['web1'] });
  });
});

test(
  'a lab of Open vSwitch that is killed during its construction leaves no switch behind',
  { skip: lacking?.message ?? false },
  async () => {
    const name = `e2e-ok-${process.pid.toString(36)}`;
    const up = path.join(import.meta.dirname, '../../lab/up.ts');
    const build = `const { labUp } = await import(${JSON.stringify(up)});
    await labUp({ name: ${JSON.stringify(name)}, hosts: 3, network: 'ovs' });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', build], {
      stdio: 'inherit',
    });
    const pids = ['ovsdb-server', 'ovs-vswitchd'].map(
      (each) => `${labDirectory(name)}/ovs/a/${each}.pid`,
    );
    try {
      await until(
        'a switch to be there',
        30_000,
        async () => pids.every((file) => existsSync(file)) || undefined,
      );
      child.kill('SIGKILL');
      const started = await Promise.all(
        pids.map(async (file) => Number(await readFile(file, 'utf8'))),
      );
      assert.ok(started.map(startTicksOf).every((ticks) => ticks !== undefined));
      assert.equal(await labDown(name), true);
      assert.deepEqual(started.map(startTicksOf), [undefined, undefined]);
      assert.equal(existsSync(labDirectory(name)), false);
    } finally {
      child.kill('SIGKILL');
      await labDown(name);
    }
  },
);
