import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findSwtpm, listSwtpm } from '../../src/drivers/qemu/guest/tpm.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { labHost, storageDirectory } from '../../lab/state.ts';
import { runningOn, seenQemus } from '../../lab/witness/qemus.ts';
import { until } from '../until.ts';
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
import { extendPcr, readNv, readPcr, writeNv } from './support/tpm.ts';
import { NO_SWTPM, startTpmGuest } from './support/tpm-guest.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const CODE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
const NEW_STORE = '/usr/share/OVMF/OVMF_VARS_4M.fd';
const NO_FIRMWARE = existsSync(CODE) ? false : `no UEFI firmware here (${CODE}): install ovmf`;

describe('a guest with a TPM', { skip: NO_SWTPM }, () => {
  let world: World;

  before(async () => {
    world = await openWorld('tpm', { hosts: 2, storage: 'local' });
    await startTpmGuest(world, { name: 'tpm1', device: 'tpm-tis' });
    await writeNv(world.lab, 'tpm1', 'godwit-1');
  });
  after(() => world?.close());

  const tpms = (host: string): string => path.join(labHost(world.lab, host).stateDir, 'tpm');
  const kept = async (host: string): Promise<string[]> =>
    (await readdir(tpms(host)).catch((): string[] => [])).toSorted();
  const socketAt = (host: string): string =>
    path.join(labHost(world.lab, host).stateDir, 'guests', 'tpm1', 'godwit-tpm.sock');

  const there = () => directionOf(world, 'tpm1');

  /** What serves the guest's TPM: one process, as the user of its QEMU, its calls filtered. */
  async function assertServed(host: string): Promise<void> {
    const served = await findSwtpm(socketAt(host));
    assert.ok(served !== undefined, `nothing serves the TPM on ${host}`);
    const seen = await seenQemus(world.lab);
    const qemu = seen.find((each) => each.guest === 'tpm1' && each.host === host);
    const [swtpm = '', ofQemu = ''] = await Promise.all(
      [served.pid, qemu?.pid ?? 0].map((pid) => readFile(`/proc/${pid}/status`, 'utf8')),
    );
    const field = (text: string, name: string): string =>
      new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(text)?.[1] ?? '';
    assert.equal(field(swtpm, 'Uid'), field(ofQemu, 'Uid'));
    assert.equal(field(swtpm, 'NoNewPrivs'), '1');
    assert.equal(field(swtpm, 'Seccomp'), '2');
    const { uid, mode } = await stat(path.join(tpms(host), 'tpm1'));
    assert.equal(mode & 0o777, 0o700);
    assert.equal(String(uid), field(swtpm, 'Uid').split('\t')[0]);
  }

  /** Moves it, and sees that its TPM holds what it held and more can be put into it, and that nothing else is left. */
  async function moved(value: number, request: Partial<Move> = {}): Promise<void> {
    const { from, to } = await there();
    await extendPcr(world.lab, 'tpm1', value);
    const was = await readPcr(world.lab, 'tpm1');
    await move(world, { guest: 'tpm1', from, to, ...request });
    assert.deepEqual(await runningOn(world.lab, 'tpm1'), [to]);
    assert.equal(await readPcr(world.lab, 'tpm1'), was);
    assert.equal(await readNv(world.lab, 'tpm1'), 'godwit-1');
    await extendPcr(world.lab, 'tpm1', value);
    assert.notEqual(await readPcr(world.lab, 'tpm1'), was);
    await assertServed(to);
    await assertConfined(world, 'tpm1', to);
    await assertOnlyGuests(world, { [to]: ['tpm1'] }, { [to]: ['swtpm'] });
    const found = await verifyGuest(world.lab, 'tpm1');
    assert.ok(found.ok, JSON.stringify(found));
  }

  test('a guest moves by pre-copy with the content of its TPM, including its own values', async () => {
    await moved(1);
    assert.deepEqual(await kept('b'), ['tpm1']);
    // Not encrypted, it shows: below, where it is, it does not.
    const state = await readFile(path.join(tpms('b'), 'tpm1', 'tpm2-00.permall'));
    assert.ok(state.includes('godwit-1'));
  });

  test("a guest moves back by post-copy, and its host's old TPM state is set aside", async (t) => {
    await unlessForbidden(t, () => moved(2, { mode: 'postcopy' }));
    assert.deepEqual(await kept('b'), ['tpm1.left']);
  });

  test('a guest moves by hybrid over the wire', async (t) => {
    await unlessForbidden(t, () => moved(3, { mode: 'hybrid', path: 'wire' }));
  });

  test('a guest moves to a host with an older TPM state, which is not overwritten', async () => {
    const { to } = await there();
    await mkdir(path.join(tpms(to), 'tpm1'), { recursive: true });
    await writeFile(path.join(tpms(to), 'tpm1', 'tpm2-00.permall'), 'of another day');
    await moved(4);
    const old = path.join(tpms(to), 'tpm1.old-1', 'tpm2-00.permall');
    assert.equal(await readFile(old, 'utf8'), 'of another day');
  });

  test("a guest and its TPM keep running, and nothing is left, when the destination's QEMU dies", async () => {
    const { from, to } = await there();
    const before = await kept(to);
    const was = await readPcr(world.lab, 'tpm1');
    const id = await begin(world, { guest: 'tpm1', from, to, ...SLOW });
    await untilMemoryFlows(world, from, id);
    const seen = await seenQemus(world.lab);
    const dying = seen.find(({ guest, host }) => guest === 'tpm1' && host === to);
    process.kill(dying?.pid ?? 0, 'SIGKILL');
    assert.equal((await reportAtEnd(world, from, id)).runsAt, 'source');
    assert.equal(await readPcr(world.lab, 'tpm1'), was);
    await assertOnlyGuests(world, { [from]: ['tpm1'] }, { [from]: ['swtpm'] });
    assert.deepEqual(await kept(to), before);
  });

  test("a guest keeps running when the TPM's program dies before it is ready", async () => {
    const { from, to } = await there();
    const before = await kept(to);
    const was = await readPcr(world.lab, 'tpm1');
    const id = await begin(world, { guest: 'tpm1', from, to, maxBandwidth: 8 * MIB });
    await untilMemoryFlows(world, from, id);
    const dying = await findSwtpm(socketAt(to));
    process.kill(dying?.pid ?? 0, 'SIGKILL');
    const report = await reportAtEnd(world, from, id);
    assert.equal(report.outcome, 'failed');
    assert.equal(report.runsAt, 'source');
    assert.deepEqual(await runningOn(world.lab, 'tpm1'), [from]);
    await until('the guest to answer', 20_000, async () => {
      return (await readPcr(world.lab, 'tpm1').catch(() => '')) === was ? true : undefined;
    });
    await assertOnlyGuests(world, { [from]: ['tpm1'] }, { [from]: ['swtpm'] });
    assert.deepEqual(await kept(to), before);
  });

  test('a guest is refused if it would have to be started from its disks', async () => {
    const { from, to } = await there();
    const error = await refusalOf(world, { guest: 'tpm1', from, to, onLost: 'restart' });
    assertSays(error, 'GODWIT_RESTART', 'tpm1', 'TPM');
  });

  test('a guest has no second program that serves its TPM', async () => {
    const { lab } = world;
    const ours = (await listSwtpm()).filter(({ argv }) => argv.join(' ').includes(lab.dir));
    assert.equal(ours.length, 1);
  });
});

describe('a guest with a TPM on UEFI firmware', { skip: NO_SWTPM || NO_FIRMWARE }, () => {
  let world: World;

  before(async () => {
    world = await openWorld('tpmfw', { hosts: 2, storage: 'local' });
    const store = path.join(storageDirectory(world.lab, 'a'), 'tpm2', 'VARS.fd');
    await mkdir(path.dirname(store), { recursive: true, mode: 0o711 });
    await copyFile(NEW_STORE, store);
    await startTpmGuest(world, {
      name: 'tpm2',
      device: 'tpm-crb',
      words: [
        '-drive',
        `if=pflash,unit=0,format=raw,readonly=on,file=${CODE}`,
        '-drive',
        `if=pflash,unit=1,format=raw,file=${store}`,
      ],
    });
  });
  after(() => world?.close());

  test("a guest moves and returns with its firmware's measurements and its permanent values", async () => {
    await writeNv(world.lab, 'tpm2', 'measured');
    await extendPcr(world.lab, 'tpm2', 9);
    const was = await readPcr(world.lab, 'tpm2');
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      await move(world, { guest: 'tpm2', from, to });
      assert.equal(await readPcr(world.lab, 'tpm2'), was);
      assert.equal(await readNv(world.lab, 'tpm2'), 'measured');
      await assertOnlyGuests(world, { [to]: ['tpm2'] }, { [to]: ['swtpm'] });
    }
  });
});
