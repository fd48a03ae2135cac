import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { SerialError } from '../../src/errors.ts';
import type { AgentConfigInput } from '../../src/config.ts';
import { runCommand } from '../../lab/command.ts';
import { inHost } from '../../lab/entry.ts';
import { startGuest } from '../../lab/guest/start.ts';
import type { LabGuest } from '../../lab/guest/registry.ts';
import { stopGuest } from '../../lab/guest/stop.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { signalProcess } from '../../lab/processes.ts';
import { storageDirectory } from '../../lab/state.ts';
import { writersOf } from '../../lab/witness/locks.ts';
import { runningOn, seenQemus } from '../../lab/witness/qemus.ts';
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
import { assertWrites, proofsIn } from './support/disks.ts';
import { startBareGuest } from './support/bare-guest.ts';
import { askGuestQemu } from './support/monitors.ts';
import { sourceJournal } from './support/movers.ts';
import { until } from '../until.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const run = promisify(execFile);
/**
 * However late the switch to post-copy is ordered, what is sent before has room in the kernel, where nobody reads it on
 * the other side: QEMU sends 1.3 MB/s where it is allowed next to nothing.
 */
const WIDE_SENDING =
  'f=/proc/sys/net/ipv4/tcp_wmem; [ ! -w $f ] || echo 4096 67108864 67108864 >$f';
const TRICKLE = { ...SLOW, maxBandwidth: 64 * 1024 };
const COMMON = { host: 'a', ...SMALL_GUEST } as const;

describe('a guest with disks on shared storage', () => {
  let world: World;
  let guest: LabGuest;

  before(async () => {
    world = await openWorld('disks', { hosts: 2 });
    const thin = { bytes: 64 * MIB, thin: true, backed: true };
    const raw = { bytes: 32 * MIB, thin: false };
    guest = await startGuest(world.lab, { ...COMMON, name: 'db1', disks: [thin, raw] });
  });
  after(() => world?.close());

  /** It runs on `host` alone, writes there, what it wrote is there, and no other host may write to its images. */
  async function whole(host: string): Promise<void> {
    assert.deepEqual(await runningOn(world.lab, 'db1'), [host]);
    for (const image of guest.disks ?? []) {
      assert.deepEqual(await writersOf(world.lab, 'db1', image), [host], image);
    }
    await assertWrites(world, 'db1');
    assert.deepEqual(await proofsIn(storageDirectory(world.lab, host)), []);
    await assertOnlyGuests(world, { [host]: ['db1'] });
  }

  const there = () => directionOf(world, 'db1');

  async function moved(request: Partial<Move>): Promise<void> {
    const { from, to } = await there();
    const report = await move(world, { guest: 'db1', from, to, ...request });
    const disks = report.checks.filter(({ name }) => name === 'disks');
    assert.ok(disks.some(({ evidence }) => /each read what the other wrote/.test(evidence)));
    await whole(to);
  }

  test('a guest moves by pre-copy, and returns', async () => {
    await whole('a');
    await moved({});
    await moved({});
  });

  test('a guest moves by post-copy', async (t) => {
    await unlessForbidden(t, () => moved({ mode: 'postcopy' }));
  });

  test('a guest moves by the wire', async () => {
    await moved({ path: 'wire' });
  });

  test('a guest keeps running at its source, with its disks, when it is cancelled', async () => {
    const { from, to } = await there();
    const id = await begin(world, { guest: 'db1', from, to, ...SLOW });
    await untilMemoryFlows(world, from, id);
    await world.agent(from).cancel({ params: { id } });
    assert.equal((await reportAtEnd(world, from, id)).outcome, 'cancelled');
    await whole(from);
  });

  test('a guest keeps running at its source, with its disks, when the QEMU of the destination is killed', async () => {
    const { from, to } = await there();
    const id = await begin(world, { guest: 'db1', from, to, ...SLOW });
    await untilMemoryFlows(world, from, id);
    const other = (await seenQemus(world.lab)).find(({ host }) => host === to);
    assert.ok(other !== undefined);
    signalProcess(other.pid, 'SIGKILL');
    const report = await reportAtEnd(world, from, id);
    assert.deepEqual([report.outcome, report.runsAt], ['failed', 'source']);
    await whole(from);
  });

  test('a guest stays at its source, with its disks, when the QEMU of the destination dies in the switch to post-copy', async (t) => {
    // QEMU moves a guest no more that was taken back from there: it is one of its own.
    const disks = [{ bytes: 32 * MIB, thin: true }];
    const other = await startGuest(world.lab, { ...COMMON, name: 'db4', disks });
    await runCommand(inHost(world.lab, 'a', ['sh', '-c', WIDE_SENDING]));
    const [image = ''] = other.disks ?? [];
    const request = { guest: 'db4', from: 'a', to: 'b', ...TRICKLE, mode: 'postcopy' } as const;
    await unlessForbidden(t, async () => {
      const id = await begin(world, request);
      const there = await until('QEMU on the destination', 30_000, async () =>
        (await seenQemus(world.lab)).find(
          ({ host, guest: name }) => host === 'b' && name === 'db4',
        ),
      );
      await until('memory to flow', 30_000, async () =>
        (await sourceJournal(world, 'a', id)).includes('"type":"active"') ? true : undefined,
      );
      // It is sent the state of the devices, and does not get to reading it.
      signalProcess(there.pid, 'SIGSTOP');
      try {
        await until('the switch to post-copy', 30_000, async () =>
          (await sourceJournal(world, 'a', id)).includes('postcopy-active') ? true : undefined,
        );
      } finally {
        signalProcess(there.pid, 'SIGKILL');
      }
      const report = await reportAtEnd(world, 'a', id);
      assert.deepEqual([report.outcome, report.runsAt], ['failed', 'source']);
    });
    assert.deepEqual(await runningOn(world.lab, 'db4'), ['a']);
    assert.deepEqual(await writersOf(world.lab, 'db4', image), ['a']);
    await assertWrites(world, 'db4');
    await stopGuest(world.lab, 'db4');
  });

  test('a guest that its owner changes during the move stays at its source: paused, then on a snapshot', async () => {
    const disks = [{ bytes: 32 * MIB, thin: false }];
    const { name, disks: [image = ''] = [] } = await startGuest(world.lab, {
      ...COMMON,
      name: 'db5',
      disks,
    });
    const order = (command: string, args: Record<string, unknown> = {}): Promise<unknown> =>
      askGuestQemu(world, name, 'a', command, args);
    const undone = async (change: () => Promise<unknown>): Promise<SerialError> => {
      const id = await begin(world, { guest: name, from: 'a', to: 'b', ...SLOW });
      await untilMemoryFlows(world, 'a', id);
      await change();
      const report = await reportAtEnd(world, 'a', id);
      assert.deepEqual([report.outcome, report.runsAt], ['failed', 'source']);
      assert.ok(report.error !== undefined);
      return report.error;
    };
    assertSays(await undone(() => order('stop')), 'GODWIT_GUEST_HALTED', name, 'was paused');
    assert.equal(((await order('query-status')) as { status: string }).status, 'paused');
    await order('cont');
    const snapshot = async (): Promise<unknown> => {
      const [drive] = (await order('query-block')) as { inserted: { 'node-name': string } }[];
      return order('blockdev-snapshot-sync', {
        'node-name': drive?.inserted['node-name'],
        'snapshot-node-name': 'over',
        'snapshot-file': `${image}.over`,
        format: 'qcow2',
      });
    };
    const error = await undone(snapshot);
    assertSays(error, 'GODWIT_GUEST_CHANGED', name, 'the image of', image, `qcow2 ${image}.over`);
    assert.deepEqual(await runningOn(world.lab, name), ['a']);
    await assertWrites(world, name);
    await stopGuest(world.lab, name);
  });

  test('a guest leaves whole images behind', async () => {
    const { to } = await there();
    await moved({});
    assert.deepEqual(await runningOn(world.lab, 'db1'), [to]);
    for (const { pid } of await seenQemus(world.lab)) signalProcess(pid, 'SIGTERM');
    await until('QEMU to end', 10_000, async () =>
      (await seenQemus(world.lab)).length === 0 ? true : undefined,
    );
    const [qcow2 = ''] = guest.disks ?? [];
    await run('qemu-img', ['check', '-q', '-f', 'qcow2', qcow2]);
    await stopGuest(world.lab, 'db1');
    assert.deepEqual(await readdir(storageDirectory(world.lab, 'a')), []);
  });
});

describe('a guest with disks that cannot move', () => {
  let world: World;

  before(async () => {
    const configure = (host: string): Partial<AgentConfigInput> =>
      host === 'c' ? { storage: [] } : {};
    world = await openWorld('ldisk', { hosts: 3, storage: 'local', configure });
  });
  after(() => world?.close());

  test('a guest without a place for its copies is refused, and nothing is left of the trial', async () => {
    const disks = [{ bytes: 32 * MIB, thin: true }];
    await startGuest(world.lab, { ...COMMON, name: 'db2', disks });
    const error = await refusalOf(world, { guest: 'db2', from: 'a', to: 'c' });
    assertSays(error, 'GODWIT_DISK_PLACE', 'db2', 'c', 'names no directory', 'storage');
    for (const host of ['a', 'b', 'c']) {
      assert.deepEqual(await proofsIn(storageDirectory(world.lab, host)), []);
    }
    assert.ok((await verifyGuest(world.lab, 'db2')).ok);
    await assertOnlyGuests(world, { a: ['db2'] });
    await stopGuest(world.lab, 'db2');
  });

  test('a guest is refused if its backing file is outside of `storage`', async () => {
    const directory = await mkdtemp(path.join(world.lab.dir, 'elsewhere-'));
    const base = path.join(directory, 'base.qcow2');
    const file = path.join(storageDirectory(world.lab, 'a'), 'top.qcow2');
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', base, '1M']);
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, file]);
    const args = ['-drive', `if=none,id=disk0,format=qcow2,file=${file}`];
    args.push('-device', 'virtio-blk-pci,drive=disk0');
    const odd = await startBareGuest(world, { name: 'db3', host: 'a', args });
    try {
      const error = await refusalOf(world, { guest: 'db3', from: 'a', to: 'b' });
      assertSays(error, 'GODWIT_DISK_LOCAL', 'db3', 'outside of what `storage` names', 'detach');
    } finally {
      await odd.stop();
    }
  });

  const UNSAFE: [string, string, string, string[]][] = [
    ['whose format was guessed', 'GODWIT_DISK_FORMAT', '', ['guessed', 'raw', 'format=']],
    ['that is never flushed', 'GODWIT_DISK_CACHE', ',format=raw,cache=unsafe', ['cache=none']],
    ['that is temporary', 'GODWIT_DISK_LOCAL', ',format=raw,snapshot=on', ['odd', 'temporary']],
  ];
  for (const [what, code, settings, said] of UNSAFE) {
    test(`a guest is refused with a disk ${what}`, async () => {
      const file = path.join(storageDirectory(world.lab, 'a'), 'odd.raw');
      await run('qemu-img', ['create', '-q', '-f', 'raw', file, '1M']);
      const args = ['-drive', `if=none,id=odd,file=${file}${settings}`];
      args.push('-device', 'virtio-blk-pci,drive=odd');
      const odd = await startBareGuest(world, { name: 'odd', host: 'a', args });
      try {
        const error = await refusalOf(world, { guest: 'odd', from: 'a', to: 'b' });
        assertSays(error, code as typeof error.code, 'odd', ...said);
        assert.equal(await odd.status(), 'running');
      } finally {
        await odd.stop();
      }
    });
  }
});
