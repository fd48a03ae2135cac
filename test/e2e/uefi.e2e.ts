import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, open, readFile, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { firmwareVariable, readGuestStats, verifyGuest } from '../../lab/guest/talk.ts';
import { storageDirectory, type Lab } from '../../lab/state.ts';
import { askQemu } from '../../lab/witness/monitor.ts';
import { runningOn, seenQemus } from '../../lab/witness/qemus.ts';
import { startBareGuest } from './support/bare-guest.ts';
import { assertConfined } from './support/confinement.ts';
import {
  assertSays,
  begin,
  directionOf,
  move,
  refusalOf,
  reportAtEnd,
  SLOW,
  unlessForbidden,
  untilMemoryFlows,
  type Move,
} from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
/** Where Debian's package `ovmf` has it, which setup brings. */
const CODE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
const NEW_STORE = '/usr/share/OVMF/OVMF_VARS_4M.fd';
const MISSING = existsSync(CODE) ? false : `no UEFI firmware here (${CODE}): install ovmf`;
/** Firmware and kernel under emulation, on a busy machine. */
const BOOT_MS = 120_000;

const storeAt = (lab: Lab, host: string, guest: string): string =>
  path.join(storageDirectory(lab, host), guest, 'VARS.fd');

function chips(store: string, code = CODE): string[] {
  const code0 = `if=pflash,unit=0,format=raw,readonly=on,file=${code}`;
  return ['-drive', code0, '-drive', `if=pflash,unit=1,format=raw,file=${store}`];
}

/** The variables that a store holds have their names in it, in UTF-16. */
async function holds(store: string, variable: string): Promise<boolean> {
  return (await readFile(store)).includes(Buffer.from(variable, 'utf16le'));
}

async function newStore(lab: Lab, host: string, guest: string): Promise<string> {
  const store = storeAt(lab, host, guest);
  await mkdir(path.dirname(store), { recursive: true, mode: 0o711 });
  await copyFile(NEW_STORE, store);
  return store;
}

async function bootGuest(world: World, name: string): Promise<void> {
  const store = await newStore(world.lab, 'a', name);
  await startGuest(world.lab, {
    name,
    host: 'a',
    memoryBytes: 256 * MIB,
    workingSetBytes: 16 * MIB,
    dirtyBytesPerSecond: MIB,
    extraArguments: chips(store),
  });
}

async function reboot(world: World, guest: string): Promise<void> {
  const was = await readGuestStats(world.lab, guest);
  const qemu = (await seenQemus(world.lab)).find((each) => each.guest === guest);
  await askQemu(qemu?.monitors.at(-1) ?? '', 'system_reset');
  await until('the guest to be up again', BOOT_MS, async () => {
    const now = await readGuestStats(world.lab, guest).catch(() => undefined);
    return now?.ready === true && now.bootId !== was.bootId ? true : undefined;
  });
}

describe('a guest booted by UEFI firmware', { skip: MISSING }, () => {
  let world: World;

  before(async () => {
    world = await openWorld('uefi', { hosts: 2, storage: 'local' });
    await bootGuest(world, 'fw1');
  });
  after(() => world?.close());

  const store = (host: string): string => storeAt(world.lab, host, 'fw1');
  const variable = (name: string, value?: string): Promise<string> =>
    firmwareVariable(world.lab, 'fw1', name, value);

  const there = () => directionOf(world, 'fw1');

  /** Moves it, and sees that its variables and its store came along, that it writes to that store, and that nothing else is left. */
  async function moved(name: string, request: Partial<Move> = {}): Promise<void> {
    const { from, to } = await there();
    assert.equal(await variable(name, 'before'), 'before');
    const report = await move(world, { guest: 'fw1', from, to, ...request });
    assert.deepEqual(await runningOn(world.lab, 'fw1'), [to]);
    assert.equal(await variable(name), 'before');
    assert.equal((await stat(store(to))).size, (await stat(NEW_STORE)).size);
    assert.ok(await holds(store(to), name), `${name} is not in the store at ${to}`);
    assert.equal(await variable(`${name}There`, 'after'), 'after');
    assert.ok(await holds(store(to), `${name}There`));
    assert.deepEqual(await readdir(path.dirname(store(from))).catch(() => []), []);
    await assertConfined(world, 'fw1', to);
    await assertOnlyGuests(world, { [to]: ['fw1'] });
    const found = await verifyGuest(world.lab, 'fw1');
    assert.ok(found.ok, JSON.stringify([found, report.id]));
  }

  test('a guest moves by pre-copy with its variables, and has them after a reboot there', async () => {
    await moved('First');
    await reboot(world, 'fw1');
    assert.equal(await variable('First'), 'before');
    assert.equal(await variable('FirstThere'), 'after');
  });

  test('a guest moves back by post-copy', async (t) => {
    await unlessForbidden(t, () => moved('Second', { mode: 'postcopy' }));
  });

  test('a guest moves by hybrid over the wire', async (t) => {
    await unlessForbidden(t, () => moved('Third', { mode: 'hybrid', path: 'wire' }));
  });

  test('a guest moves, and its copied store is compared afterwards', async () => {
    await moved('Compared', { verifyDisks: true });
  });

  test('a guest keeps its store at the source under another name on request', async () => {
    const { from, to } = await there();
    const { id } = await move(world, { guest: 'fw1', from, to, keepSource: true });
    const kept = `${store(from)}.moved-${id}`;
    assert.ok(await holds(kept, 'First'));
    await rm(kept);
    await assertOnlyGuests(world, { [to]: ['fw1'] });
  });

  test("a guest keeps running with its own store, and nothing is left, when the destination's QEMU dies", async () => {
    const { from, to } = await there();
    const id = await begin(world, { guest: 'fw1', from, to, ...SLOW });
    await untilMemoryFlows(world, from, id);
    const seen = await seenQemus(world.lab);
    const dying = seen.find(({ guest, host }) => guest === 'fw1' && host === to);
    process.kill(dying?.pid ?? 0, 'SIGKILL');
    assert.deepEqual((await reportAtEnd(world, from, id)).runsAt, 'source');
    assert.deepEqual(await readdir(path.dirname(store(to))).catch(() => []), []);
    await assertOnlyGuests(world, { [from]: ['fw1'] });
    assert.equal(await variable('Survived', 'here'), 'here');
    assert.ok(await holds(store(from), 'Survived'));
  });

  test('a guest keeps running with its own store, and nothing is left, when its migration is cancelled', async () => {
    const { from, to } = await there();
    const id = await begin(world, { guest: 'fw1', from, to, ...SLOW });
    await untilMemoryFlows(world, from, id);
    await world.agent(from).cancel({ params: { id } });
    assert.equal((await reportAtEnd(world, from, id)).outcome, 'cancelled');
    assert.deepEqual(await readdir(path.dirname(store(to))).catch(() => []), []);
    await assertOnlyGuests(world, { [from]: ['fw1'] });
    assert.equal(await variable('Cancelled', 'here'), 'here');
    assert.ok(await holds(store(from), 'Cancelled'));
  });

  test('a guest is refused while another guest has its store open', async () => {
    const { from, to } = await there();
    const other = await startBareGuest(world, {
      name: 'fw2',
      host: from,
      memory: '128M',
      args: chips(store(from)),
    });
    try {
      const error = await refusalOf(world, { guest: 'fw1', from, to });
      assertSays(
        error,
        'GODWIT_DISK_LOCAL',
        'pflash1',
        'fw1',
        'fw2',
        'a variable store of its own',
      );
    } finally {
      await other.stop();
    }
  });

  test('a guest is refused if the destination lacks the code of its firmware', async () => {
    const own = path.join(storageDirectory(world.lab, 'a'), 'own', 'CODE.fd');
    const its = await newStore(world.lab, 'a', 'own');
    await copyFile(CODE, own);
    const file = await open(own, 'r+');
    await file.write(Buffer.from('one'), 0, 3, 64);
    await file.close();
    const args = chips(its, own);
    const odd = await startBareGuest(world, { name: 'odd', host: 'a', memory: '128M', args });
    try {
      const error = await refusalOf(world, { guest: 'odd', from: 'a', to: 'b' });
      assertSays(error, 'GODWIT_DEVICE_UNMAPPED', 'pflash0', 'CODE.fd', 'drivers.qemu.imageDirs');
    } finally {
      await odd.stop();
    }
  });
});

describe('a guest with UEFI variables on shared storage', { skip: MISSING }, () => {
  let world: World;

  before(async () => {
    world = await openWorld('uefis', { hosts: 2 });
    await bootGuest(world, 'fw1');
  });
  after(() => world?.close());

  test('a guest has the same store on both ways, and writes to it at its present host', async () => {
    const store = storeAt(world.lab, 'a', 'fw1');
    const was = await stat(store);
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      await firmwareVariable(world.lab, 'fw1', `At${from}`, 'kept');
      await move(world, { guest: 'fw1', from, to });
      assert.equal(await firmwareVariable(world.lab, 'fw1', `At${from}`), 'kept');
      await firmwareVariable(world.lab, 'fw1', `After${to}`, 'written');
      assert.ok(await holds(store, `After${to}`));
      assert.equal((await stat(store)).ino, was.ino);
      await assertConfined(world, 'fw1', to);
    }
    assert.deepEqual(await readdir(path.dirname(store)), ['VARS.fd']);
  });

  test('a guest is refused if a guest of the destination has that store open', async () => {
    const args = chips(storeAt(world.lab, 'a', 'fw1'));
    const other = await startBareGuest(world, { name: 'fw2', host: 'b', memory: '128M', args });
    try {
      const error = await refusalOf(world, { guest: 'fw1', from: 'a', to: 'b' });
      assertSays(error, 'GODWIT_DISK_MISSING', 'pflash1', 'fw2', 'a variable store of its own');
    } finally {
      await other.stop();
    }
  });
});
