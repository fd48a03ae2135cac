import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { storageDirectory } from '../../lab/state.ts';
import { CHECKS } from '../../src/migration/preflight/table.ts';
import { planAnswer } from '../../src/protocol/public/plan.ts';
import { startBareGuest } from './support/bare-guest.ts';
import { godwit } from './support/cli.ts';
import { proofsIn } from './support/disks.ts';
import { move } from './support/moves.ts';
import { assertOnlyGuests, assertUnchanged, hostsNow } from './support/remains.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const MIB = 1024 ** 2;

/** Host c has no memory for anybody. */
const configure = (host: string) =>
  host === 'c' ? { limits: { memoryReserveBytes: 2 ** 50 } } : {};

/** Warnings that are right here: a laboratory's machine may have no cgroups mounted. */
const IS_SO_HERE = new Set(['cgroup']);

describe('the checks of godwit migrate --dry-run', () => {
  let world: World;

  before(async () => {
    world = await openWorld('check', { hosts: 3, configure });
    await startGuest(world.lab, {
      name: 'db1',
      host: 'a',
      ...SMALL_GUEST,
      disks: [{ bytes: 32 * MIB, thin: true }],
    });
  });
  after(() => world?.close());

  test('the checks pass a guest with a shared disk and leave nothing on either host, and the guest then moves', async () => {
    const hosts = await hostsNow(world.lab);
    const checked = await godwit(world, 'migrate', 'db1', '--to', 'b', '--dry-run', '--json');
    assert.equal(checked.exit, 0, checked.out + checked.err);
    const { host: found } = planAnswer.parse(JSON.parse(checked.out));
    const names = new Set(found.checks.map(({ name }) => name));
    for (const name of ['memory', 'devices', 'machine', 'processor', 'disks', 'network', 'segment'])
      assert.ok(names.has(name), name);
    assert.deepEqual(names.difference(new Set<string>(CHECKS.map(({ name }) => name))), new Set());
    // Nothing is wrong with this guest and these hosts: whatever else is warned of is a false alarm.
    const warned = found.checks.filter(({ verdict }) => verdict !== 'pass');
    const falseAlarms = warned.filter(({ name }) => !IS_SO_HERE.has(name));
    assert.deepEqual(falseAlarms, []);
    await assertUnchanged(world, hosts);
    for (const host of ['a', 'b'])
      assert.deepEqual(await proofsIn(storageDirectory(world.lab, host)), []);
    const report = await move(world, { guest: 'db1', from: 'a', to: 'b' });
    const made = (checks: readonly { name: string; side: string; verdict: string }[]) =>
      checks
        .map(({ name, side, verdict }) => `${name} ${side} ${verdict}`)
        .filter((text) => /^(disks|machine|processor|devices|network|images) /.test(text))
        .toSorted();
    assert.deepEqual(made(report.checks), made(found.checks));
    await move(world, { guest: 'db1', from: 'b', to: 'a' });
    // The next test looks at what is there: both movers are to be gone by then.
    await assertOnlyGuests(world, { a: ['db1'] });
  });

  test('the checks show every host, the best first, with the objections to the others', async () => {
    const hosts = await hostsNow(world.lab);
    const { exit, out } = await godwit(world, 'migrate', 'db1', '--to', 'any', '--dry-run');
    assert.equal(exit, 0, out);
    const [head = '', first = '', second = ''] = out.split('\n');
    assert.match(head, /^HOST +VERDICT +WHY/);
    assert.match(first, /^b /);
    assert.match(second, /^c +refuse +memory: \w+ needs .*; c has 0 B free/);
    await assertUnchanged(world, hosts);
  });

  test('the checks report every refusal of both hosts at once, with the exit code and the hint of the first', async () => {
    const args = '-device qemu-xhci,id=xhci -device usb-host,id=stick1,vendorid=1,productid=1';
    const guest = await startBareGuest(world, { name: 'tied', host: 'a', args: args.split(' ') });
    try {
      const hosts = await hostsNow(world.lab);
      const { exit, out, err } = await godwit(world, 'migrate', 'tied', '--to', 'c', '--dry-run');
      assert.equal(exit, 4, out + err);
      assert.match(out, /refuse +memory[\s\S]*refuse +devices .*stick1/);
      assert.match(err, /c has 0 B free[\s\S]*hint: Free memory/);
      await assertUnchanged(world, hosts);
      assert.equal(await guest.status(), 'running');
    } finally {
      await guest.stop();
    }
  });
});
