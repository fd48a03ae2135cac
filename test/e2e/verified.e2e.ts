import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readlink } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { runCommand } from '../../lab/command.ts';
import { inHost } from '../../lab/entry.ts';
import type { LabGuest } from '../../lab/guest/registry.ts';
import { startGuest } from '../../lab/guest/start.ts';
import type { Check, Report } from '../../src/protocol/public/migration.ts';
import { godwit } from './support/cli.ts';
import { watchGuest } from './support/client-view.ts';
import { filterBridges } from './support/filters.ts';
import { move } from './support/moves.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';
import { until } from '../until.ts';

const MIB = 1024 ** 2;
/** Slow enough for a look at the clock before the switch; a link so slow needs more than 50 ms for what the last round leaves. */
const UNHURRIED = { maxBandwidth: 12 * MIB, maxDowntimeMs: 300 } as const;

async function filesOf(pid: number): Promise<string[]> {
  const directory = `/proc/${pid}/fd`;
  const names = await readdir(directory).catch(() => []);
  return Promise.all(names.map((name) => readlink(`${directory}/${name}`).catch(() => '')));
}

describe('a moved guest seen from outside of its hypervisor', () => {
  let world: World;
  let guest: LabGuest;

  before(async () => {
    world = await openWorld('look', { hosts: 3 });
    await filterBridges(world);
    for (const [index, host] of world.lab.hosts.entries()) {
      // As hosts have that are themselves in a segment of guests: without one nobody there can ask a guest over IP.
      const own = `ip addr add 10.88.0.${index + 240}/24 dev br0`;
      const icmp = 'nft add rule inet filter forward meta l4proto icmp accept';
      for (const line of [own, icmp]) await runCommand(inHost(world.lab, host, line.split(' ')));
    }
    guest = await startGuest(world.lab, {
      name: 'db1',
      host: 'a',
      ...SMALL_GUEST,
      disks: [{ bytes: 32 * MIB, thin: false }],
    });
  });
  after(() => world?.close());

  const looks = (report: Report, name: string): Check[] =>
    (report.verified ?? []).filter((each) => each.name === name);
  const say = (report: Report): string => JSON.stringify(report.verified, undefined, 1);

  test('a moved guest is correct: one writer a disk, its devices, its segment, its connection, its clock', async (t) => {
    const watched = await watchGuest(world, 'db1');
    let report: Report | undefined;
    await watched.unharmed('b', async () => {
      report = await move(world, { guest: 'db1', from: 'a', to: 'b', ...UNHURRIED });
    });
    assert.ok(report !== undefined);
    const all = report.verified ?? [];
    assert.deepEqual(
      all.filter(({ verdict }) => verdict !== 'pass'),
      [],
      say(report),
    );
    const [file = ''] = guest.disks ?? [];
    const [here, there] = looks(report, 'disks').toSorted((one) =>
      one.side === 'source' ? -1 : 1,
    );
    assert.match(here?.evidence ?? '', /^at a no hypervisor may write to .*any more$/, say(report));
    assert.match(there?.evidence ?? '', /^at b one hypervisor alone may write to /, say(report));
    assert.ok(there?.evidence.includes(file.slice(file.lastIndexOf('/'))), say(report));
    for (const name of ['copies', 'devices', 'segment', 'connections', 'guest-clock']) {
      const [found, ...more] = looks(report, name);
      assert.ok(found !== undefined && more.length === 0, `${name}: ${say(report)}`);
      assert.equal(found.notTried, undefined, `${name}: ${say(report)}`);
    }
    const shown = await godwit(world, 'report', report.id);
    assert.match(shown.out, /\nVerified\nok {4} {2}copies \(both\): /);
    for (const { name, evidence } of all) t.diagnostic(`${name}: ${evidence}`);
  });

  test('a moved guest is in doubt if another hypervisor has one of its disks open for writing', async () => {
    const [file = ''] = guest.disks ?? [];
    const drive = `if=virtio,format=raw,file=${file},file.locking=off`;
    // A disk that no device uses is open for reading alone.
    const machine = ['-machine', 'pc,accel=tcg', '-m', '16', '-S', '-display', 'none'];
    const words = ['-name', 'intruder', ...machine, '-drive', drive];
    const argv = inHost(world.lab, 'a', ['qemu-system-x86_64', ...words]);
    const intruder = spawn(argv[0] ?? '', argv.slice(1), { stdio: 'ignore', detached: true });
    const ended = once(intruder, 'exit');
    try {
      await until('the intruder to open the disk', 20_000, async () =>
        (await filesOf(intruder.pid ?? 0)).includes(file) ? true : undefined,
      );
      const report = await move(world, { guest: 'db1', from: 'b', to: 'a' });
      const before = report.checks.filter(({ evidence }) => evidence.startsWith('intruder ('));
      assert.deepEqual(
        before.map(({ name, verdict, side }) => [name, verdict, side]),
        [['disks', 'warn', 'destination']],
      );
      const doubts = looks(report, 'disks').filter(({ verdict }) => verdict === 'warn');
      assert.equal(doubts.length, 1, say(report));
      assert.match(doubts[0]?.evidence ?? '', /intruder \(process \d+\).* write to /);
      assert.match(doubts[0]?.hint ?? '', /^Two hypervisors that write to one disk destroy it/);
      const shown = await godwit(world, 'report', report.id);
      assert.match(shown.out, /in doubt: disks/);
    } finally {
      process.kill(-(intruder.pid ?? 0), 'SIGKILL');
      await ended;
    }
  });
});
