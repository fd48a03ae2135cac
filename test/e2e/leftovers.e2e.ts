import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { inHost } from '../../lab/entry.ts';
import { labEnvironment } from '../../lab/environment.ts';
import { chooseQemu } from '../../lab/guest/qemu.ts';
import { isAlive, startTicksOf, type ProcessIdentity } from '../../src/system/processes/process.ts';
import { endProcesses, signalProcess, startDetached } from '../../lab/processes.ts';

import { labHost } from '../../lab/state.ts';
import { runningOn, seenQemus } from '../../lab/witness/qemus.ts';
import { isEnd } from '../../src/protocol/public/migration.ts';
import type { Leftover } from '../../src/protocol/public/leftover.ts';
import { startBareGuest } from './support/bare-guest.ts';
import { godwit } from './support/cli.ts';
import { begin, move, reportAtEnd, SLOW, untilMemoryFlows } from './support/moves.ts';
import { assertOnlyGuests, hostsNow } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;

interface HostLeftovers {
  readonly host: string;
  readonly leftovers?: Leftover[];
  readonly cleared?: Leftover[];
  readonly left?: Leftover[];
}

describe('leftovers of crashes', () => {
  let world: World;

  before(async () => {
    world = await openWorld('left', { hosts: 2 });
    await startGuest(world.lab, {
      name: 'web1',
      host: 'a',
      memoryBytes: 160 * MIB,
      workingSetBytes: 8 * MIB,
    });
  });
  after(() => world?.close());

  async function leftovers(host: string, ...more: string[]): Promise<HostLeftovers> {
    const ended = await godwit(world, 'doctor', '--leftovers', '--host', host, '--json', ...more);
    assert.equal(ended.exit, 0, ended.err);
    const { hosts } = JSON.parse(ended.out) as { hosts: HostLeftovers[] };
    const [found] = hosts;
    assert.ok(found !== undefined && found.host === host, ended.out);
    return found;
  }

  const kinds = (found: readonly Leftover[] = []): string[] =>
    found.map(({ kind, safe }) => `${kind}${safe ? '' : ' kept'}`).toSorted();

  const stateOf = (host: string): string => labHost(world.lab, host).stateDir;

  /** As old as what a crash of yesterday has left. */
  function age(dir: string): void {
    const yesterday = new Date(Date.now() - 86_400_000);
    utimesSync(dir, yesterday, yesterday);
  }

  test('leftovers are not reported on healthy hosts, nor for a running guest', async () => {
    await move(world, { guest: 'web1', from: 'a', to: 'b' });
    await untilNoMovers('b');
    for (const host of ['a', 'b']) assert.deepEqual(kinds((await leftovers(host)).leftovers), []);
    const reported = await godwit(world, 'doctor', '--leftovers', '--clear');
    assert.match(reported.out, /a: nothing is left over\nb: nothing is left over/);
    assert.deepEqual(await runningOn(world.lab, 'web1'), ['b']);
    await move(world, { guest: 'web1', from: 'b', to: 'a' });
  });

  test('leftovers do not include the files of an active migration', async () => {
    const id = await begin(world, { guest: 'web1', from: 'a', to: 'b', ...SLOW });
    await untilMemoryFlows(world, 'a', id);
    for (const host of ['a', 'b']) {
      assert.deepEqual(kinds((await leftovers(host, '--clear')).cleared), []);
    }
    const line = await world.agent('a').progress({ params: { id } });
    assert.equal(isEnd(line.phase), false);
    await world.agent('a').cancel({ params: { id } });
    await reportAtEnd(world, 'a', id);
  });

  test('a hypervisor, its tap and its folder without a migration are found and cleared', async () => {
    const id = await begin(world, { guest: 'web1', from: 'a', to: 'b', ...SLOW });
    await untilMemoryFlows(world, 'a', id);
    const { processes } = (await hostsNow(world.lab)).find(({ host }) => host === 'b')!;
    assert.ok(processes.some((name) => name.startsWith('qemu')));
    await stopAgent(world.lab, 'b', 'SIGKILL');
    const dir = path.join(stateOf('b'), 'migrations', id);
    await killMoverIn(dir);
    rmSync(dir, { recursive: true });
    const qemu = (await seenQemus(world.lab)).find(({ host }) => host === 'b');
    assert.ok(qemu !== undefined);
    await startAgent(world.lab, 'b');
    await world.agent('a').cancel({ params: { id } });
    const report = await reportAtEnd(world, 'a', id);
    assert.equal(report.runsAt, 'source');

    // Its source is gone: some versions of QEMU end with their stream, and leave the tap and the folder.
    age(path.join(stateOf('b'), 'guests', 'web1'));
    const found = await leftovers('b');
    assert.ok(found.leftovers !== undefined && found.leftovers.length > 0);
    const { cleared, left } = await leftovers('b', '--clear');
    assert.ok(kinds(cleared).includes('tap'), JSON.stringify(cleared));
    assert.deepEqual(kinds(left), []);
    assert.deepEqual(kinds((await leftovers('b')).leftovers), []);
    await assertOnlyGuests(world, { a: ['web1'] });
  });

  test('a hypervisor that waits for memory that no migration will send is cleared; a running one stays', async () => {
    const qemu = await chooseQemu(undefined);
    const start = async (name: string, ...more: string[]): Promise<ProcessIdentity> => {
      const dir = path.join(stateOf('b'), 'guests', name);
      mkdirSync(dir, { recursive: true });
      const words = `-name ${name} -machine q35 -accel tcg -m 64M -nodefaults -display none`;
      const qmp = ['-qmp', `unix:${dir}/qmp.sock,server=on,wait=off`];
      const argv = inHost(world.lab, 'b', [qemu.path, ...words.split(' '), ...qmp, ...more]);
      return startDetached(argv, { logFile: `${dir}/qemu.log`, env: labEnvironment(world.lab) });
    };
    const waits = await start('waits', '-S', '-incoming', 'defer');
    const runs = await start('runs');
    try {
      const found = await until('both to be found', 20_000, async () => {
        const { guests } = await world.agent('b').guests({ query: { scope: 'local' } });
        const states = Object.fromEntries(guests.map(({ name, state }) => [name, state]));
        return states['waits'] === 'incoming' && states['runs'] === 'running' ? states : undefined;
      });
      assert.deepEqual(Object.keys(found).toSorted(), ['runs', 'waits']);
      const { cleared, left } = await leftovers('b', '--clear');
      assert.deepEqual(kinds(cleared), ['hypervisor']);
      assert.equal(cleared?.[0]?.guest, 'waits');
      assert.deepEqual(kinds(left), []);
      assert.deepEqual([isAlive(waits), isAlive(runs)], [false, true]);
    } finally {
      await endProcesses(async () => (isAlive(runs) ? [runs] : []), { graceMs: 500 });
      rmSync(path.join(stateOf('b'), 'guests'), { recursive: true, force: true });
    }
  });

  test('the folder of a guest that was moved and then ended by itself is cleared', async () => {
    const bare = await startBareGuest(world, { name: 'gone1', host: 'a' });
    await move(world, { guest: 'gone1', from: 'a', to: 'b' });
    const qemu = (await seenQemus(world.lab)).find(({ guest }) => guest === 'gone1');
    assert.equal(qemu?.host, 'b');
    signalProcess(qemu.pid, 'SIGKILL');
    await until('the guest to be gone', 5000, async () => {
      const seen = await seenQemus(world.lab);
      return seen.some(({ guest }) => guest === 'gone1') ? undefined : true;
    });
    await untilNoMovers('b');
    const folder = path.join(stateOf('b'), 'guests', 'gone1');
    age(folder);
    const { leftovers: found } = await leftovers('b');
    assert.deepEqual(kinds(found), ['guest-directory']);
    assert.equal(found?.[0]?.what, folder);
    await leftovers('b', '--clear');
    await bare.stop();
    await assertOnlyGuests(world, { a: ['web1'] });
  });

  test('half a migration of another version is removed, and an unreadable one stays', async () => {
    const migrations = path.join(stateOf('b'), 'migrations');
    const half = path.join(migrations, 'm-half0000');
    const foreign = path.join(migrations, 'm-foreign0');
    for (const dir of [half, foreign]) mkdirSync(dir);
    writeFileSync(path.join(half, 'request.json.tmp'), '{');
    writeFileSync(path.join(foreign, 'request.json'), '{"version":99}');
    writeFileSync(path.join(foreign, 'journal-source.jsonl'), '{"v":99}\n');
    for (const dir of [half, foreign]) age(dir);
    const { cleared, left } = await leftovers('b', '--clear');
    assert.deepEqual(
      cleared?.map(({ what }) => what),
      [half],
    );
    assert.deepEqual(
      left?.map(({ what }) => what),
      [foreign],
    );
    rmSync(foreign, { recursive: true });
    await assertOnlyGuests(world, { a: ['web1'] });
  });

  /** They say their last words for a moment after the end. */
  async function untilNoMovers(host: string): Promise<void> {
    await until('the movers to be gone', 10_000, async () => {
      const { migrations } = await world.agent(host).migrations({ query: { limit: 10 } });
      return migrations.some(({ moverAlive }) => moverAlive) ? undefined : true;
    });
  }

  async function killMoverIn(dir: string): Promise<void> {
    const { pid } = JSON.parse(readFileSync(path.join(dir, 'mover.json'), 'utf8')) as {
      pid: number;
    };
    signalProcess(pid, 'SIGKILL');
    await until('the mover to be gone', 5000, async () =>
      startTicksOf(pid) === undefined ? true : undefined,
    );
  }
});
