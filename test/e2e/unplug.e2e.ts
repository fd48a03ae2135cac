import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { askQemu } from '../../lab/witness/monitor.ts';
import { runningOn, seenQemus } from '../../lab/witness/qemus.ts';
import {
  assertSays,
  begin,
  checkedRefusal,
  move,
  refusalOf,
  reportAtEnd,
  SLOW,
  untilMemoryFlows,
} from './support/moves.ts';
import { killMover } from './support/movers.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const THERE = { from: 'a', to: 'b' } as const;
const BACK = { from: 'b', to: 'a' } as const;
/** Each host has one of its own for guests; one more is none that its QEMU knows. */
const OFFERED = { gpu0: { driver: 'virtio-rng-pci' }, gpu1: { driver: 'no-such-device' } };

/**
 * No host of the tests has a device to pass through. What stands for one is unplugged by the same two ways: a device on PCI,
 * for which the guest's kernel is asked by ACPI, and one on USB, which goes at once.
 */
describe('a guest that moves without some of its devices', () => {
  let world: World;

  before(async () => {
    const configure = () => ({ drivers: { qemu: { devices: OFFERED } } });
    world = await openWorld('unplug', { hosts: 2, configure });
    await startGuest(world.lab, {
      name: 'web1',
      host: 'a',
      memoryBytes: 192 * MIB,
      workingSetBytes: 32 * MIB,
      machineType: 'pc',
      extraArguments:
        '-device virtio-rng-pci,id=gpu0 -usb -device usb-tablet,id=dongle0,serial=s1'.split(' '),
    });
  });
  after(() => world?.close());

  /** Which of the devices the guest has, where it runs, and where on its bus. */
  async function devicesOf(host: string): Promise<Record<string, unknown>> {
    const [qemu] = (await seenQemus(world.lab)).filter((each) => each.host === host);
    const monitor = qemu?.monitors.at(-1);
    assert.ok(monitor !== undefined);
    const ask = (command: string, args: Record<string, unknown>) =>
      askQemu(monitor, command, args, 5000);
    const list = (await ask('qom-list', { path: '/machine/peripheral' })) as { name: string }[];
    const found: Record<string, unknown> = {};
    for (const { name } of list) {
      if (name !== 'gpu0' && name !== 'dongle0') continue;
      const property = name === 'gpu0' ? 'addr' : 'serial';
      found[name] = await ask('qom-get', { path: `/machine/peripheral/${name}`, property });
    }
    return found;
  }

  async function whole(host: string, devices: Record<string, unknown>): Promise<void> {
    assert.deepEqual(await runningOn(world.lab, 'web1'), [host]);
    const found = await verifyGuest(world.lab, 'web1');
    assert.ok(found.ok, JSON.stringify(found));
    await assertOnlyGuests(world, { [host]: ['web1'] });
    assert.deepEqual(await devicesOf(host), devices);
  }

  const unplug = ['gpu0', 'dongle0'];

  test('a guest has its devices again, in their places, if the move is cancelled after they were unplugged', async () => {
    const before = await devicesOf('a');
    assert.deepEqual(Object.keys(before).toSorted(), ['dongle0', 'gpu0']);
    const id = await begin(world, { guest: 'web1', ...THERE, unplug, plug: ['gpu0'], ...SLOW });
    await untilMemoryFlows(world, 'a', id);
    assert.deepEqual(await devicesOf('a'), {});
    await world.agent('a').cancel({ params: { id } });
    assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'cancelled');
    await whole('a', before);
  });

  test('a guest has its devices again if the mover is killed meanwhile and the new one is cancelled', async () => {
    const before = await devicesOf('a');
    const id = await begin(world, { guest: 'web1', ...THERE, unplug, ...SLOW });
    await untilMemoryFlows(world, 'a', id);
    await killMover(world, 'a', id);
    await world.agent('a').cancel({ params: { id } });
    const report = await reportAtEnd(world, 'a', id);
    assert.equal(report.outcome, 'cancelled', JSON.stringify(report.error));
    assert.equal(report.leftovers, undefined);
    await whole('a', before);
  });

  test('a guest is rehearsed with its devices unplugged, and has them again', async () => {
    const before = await devicesOf('a');
    const id = await begin(world, { guest: 'web1', ...THERE, unplug, rehearse: true });
    const report = await reportAtEnd(world, 'a', id);
    assert.equal(report.outcome, 'rehearsed', JSON.stringify(report.error));
    await whole('a', before);
  });

  test('a guest is refused by name if it lacks such a device, or if the device has a back-end', async () => {
    const asked = (device: string) => ({ guest: 'web1', ...THERE, unplug: [device] });
    const none = await refusalOf(world, asked('gpu7'));
    assertSays(none, 'GODWIT_DEVICE_UNMOVABLE', 'gpu7', 'no device with that id');
    const nic = await refusalOf(world, asked('nic0'));
    assertSays(nic, 'GODWIT_DEVICE_UNMOVABLE', 'nic0', '`netdev` (net0)');
    assert.deepEqual((await checkedRefusal(world, asked('nic0')))?.message, nic.message);
  });

  test('a guest is refused by name if the destination lacks a device of that name, or the id is in use', async () => {
    const asked = (device: string) => ({ guest: 'web1', ...THERE, plug: [device] });
    const none = await refusalOf(world, asked('gpu7'));
    assertSays(none, 'GODWIT_DEVICE_NOT_OFFERED', 'gpu7', 'no device of that name');
    const has = await refusalOf(world, asked('gpu0'));
    assertSays(has, 'GODWIT_DEVICE_NOT_OFFERED', 'gpu0', 'a device with that id already');
    assert.deepEqual((await checkedRefusal(world, asked('gpu7')))?.message, none.message);
  });

  test("a guest with a label arrives without its devices, gets the destination's, and reports it", async () => {
    const set = { 'godwit/unplug': 'gpu0,dongle0', 'godwit/plug': 'gpu0,gpu1' };
    const labels = { set, remove: [] };
    await world.agent('a').labelGuest({ params: { guest: 'web1' }, body: labels });
    const report = await move(world, { guest: 'web1', ...THERE });
    const said = report.checks.filter(({ evidence }) => evidence.includes('is unplugged for'));
    assert.deepEqual(
      said.map(({ verdict }) => verdict),
      ['warn', 'warn'],
    );
    assert.deepEqual(await runningOn(world.lab, 'web1'), ['b']);
    assert.ok((await verifyGuest(world.lab, 'web1')).ok);
    assert.deepEqual(Object.keys(await devicesOf('b')), ['gpu0']);
    const [plugged] = (report.verified ?? []).filter(({ name }) => name === 'plugged');
    assert.equal(plugged?.verdict, 'warn');
    assert.match(plugged.evidence, /gpu1 of b: .*no-such-device/);
    assert.match(plugged.hint ?? '', /runs without it/);
    // Its label came along, and it has one of them no more.
    const error = await refusalOf(world, { guest: 'web1', ...BACK });
    assertSays(error, 'GODWIT_DEVICE_UNMOVABLE', 'dongle0', 'no device with that id');
  });

  test('a guest continues with one device of each host, as the same machine', async () => {
    const report = await move(world, { guest: 'web1', ...BACK, unplug: ['gpu0'], plug: ['gpu0'] });
    const doubts = (report.verified ?? []).filter(({ verdict }) => verdict !== 'pass');
    assert.deepEqual(doubts, []);
    const [plugged] = (report.verified ?? []).filter(({ name }) => name === 'plugged');
    assert.equal(plugged?.evidence, 'gpu0 of a plugged in');
    assert.deepEqual(Object.keys(await devicesOf('a')), ['gpu0']);
    assert.ok((await verifyGuest(world.lab, 'web1')).ok);
  });
});
