import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import {
  endAtDestination,
  endAtSource,
} from '../../../../src/drivers/libvirt/images/left-behind.ts';
import type { Mark } from '../../../../src/drivers/libvirt/mark.ts';
import type { ManagedOrder } from '../../../../src/migration/managed/task-sight.ts';
import { LibvirtSession } from '../../../../src/drivers/libvirt/session.ts';
import { LibvirtRefusal } from '../../../../src/drivers/libvirt/rpc/connection.ts';
import { hasCode, toGodwitError } from '../../../../src/errors.ts';
import { identityOf } from '../../../../src/system/files/open-files.ts';
import { tempDir } from '../../../rpc/test-contract.ts';
import { ORDER } from '../support/order.ts';
import {
  ARRIVED,
  DISK,
  daemonPair,
  FAILED,
  host,
  OFF,
  PAUSED,
  POSTCOPY,
  RUNS,
  TPM,
  UUID,
  type Daemon,
} from '../support/two-daemons.ts';

const signal = AbortSignal.timeout(60_000);

describe('leftovers of a dead daemon', () => {
  const atSource = async (
    t: TestContext,
    source: Omit<Daemon, 'did'>,
    there: Omit<Daemon, 'did'>,
    order: ManagedOrder = ORDER,
  ): Promise<string[]> => {
    const did: string[] = [];
    const both = await daemonPair(t, { ...source, did }, { ...there, did: [] });
    for (let again = 0; again < 2; again += 1) {
      const left = await endAtSource(both, order, signal);
      if (again === 1 && left !== undefined) did.push(left.message);
    }
    return did;
  };
  const isLeft = (did: readonly string[], why: RegExp, command = 'undefine'): void => {
    assert.equal(did.length, 1, did.join());
    assert.equal(did[0]?.startsWith(`libvirt on a refused \`${command}\`: `), true, did[0] ?? '');
    assert.match(did[0] ?? '', / is left to you, since /);
    assert.match(did[0] ?? '', why);
  };

  test('the paused copy and the definition of an arrived guest are removed at the source, once', async (t) => {
    const arrived = { state: ARRIVED, mark: {} };
    assert.deepEqual(await atSource(t, { state: PAUSED, mark: {} }, arrived), [
      'destroy',
      'undefine',
    ]);
    assert.deepEqual(await atSource(t, { state: OFF }, arrived), ['undefine']);
    const withTpm = { ...arrived, devices: TPM };
    assert.deepEqual(await atSource(t, { state: OFF, devices: TPM }, withTpm), ['undefine']);
    assert.deepEqual(await atSource(t, {}, arrived), []);
  });

  test('a copy at the source that runs, is needed, or belongs to another move stays, and is reported', async (t) => {
    const arrived = { state: ARRIVED, mark: {} };
    const stays = async (
      source: Omit<Daemon, 'did'>,
      there: Omit<Daemon, 'did'>,
    ): Promise<void> => {
      const did: string[] = [];
      const both = await daemonPair(t, { ...source, did }, { ...there, did });
      await assert.rejects(endAtSource(both, ORDER, signal), {
        code: 'GODWIT_MANAGERS_DISAGREE',
        retryable: true,
        message: /its copy at a stays$/,
      });
      assert.deepEqual(did, []);
    };
    for (const state of [RUNS, POSTCOPY]) await stays({ state, mark: {} }, arrived);
    await stays({ state: PAUSED }, arrived);
    await stays({ state: PAUSED, mark: { id: 'm-00000002' } }, arrived);
    await stays({ state: OFF }, { state: ARRIVED, mark: { id: 'm-00000002' } });
    await stays({ state: PAUSED, mark: {} }, { state: PAUSED, mark: {} });
  });

  test('a definition at the source that the mark does not name, or of another machine, stays and is named', async (t) => {
    const none = { state: ARRIVED, mark: { persistent: 'no' } } as const;
    isLeft(
      await atSource(t, { state: OFF }, none),
      /its mark says that the guest had none; its autostart is off$/,
    );
    const arrived = { state: ARRIVED, mark: {} };
    const other = { state: OFF, devices: DISK };
    isLeft(
      await atSource(t, other, arrived),
      /of another machine than at its destination; its autostart is off$/,
    );
    const transient = { ...arrived, isTransient: true };
    isLeft(
      await atSource(t, { state: OFF }, transient),
      /has none at its destination; its autostart is off$/,
    );
  });

  test('a copy that shares a file with the running guest stays: libvirt would take the file from it', async (t) => {
    const arrived = { state: ARRIVED, mark: {} };
    const copies = [
      { name: 'vda', file: '/d/web1.qcow2', format: 'qcow2', sizeBytes: 4096, place: 'd' },
    ];
    const ended = (devices: string, order: ManagedOrder): Promise<string[]> =>
      atSource(t, { state: PAUSED, mark: {}, devices }, { ...arrived, devices }, order);
    const stays = /`destroy`: a paused copy of web1 .* may take files of .*; its autostart is off$/;
    isLeft(await ended(DISK, ORDER), stays, 'destroy');
    assert.deepEqual(await ended(DISK, { ...ORDER, copies }), ['destroy', 'undefine']);
    isLeft(await ended(DISK + TPM, { ...ORDER, copies }), stays, 'destroy');
    const started = { state: PAUSED, mark: {}, devices: DISK, autostart: 'on' } as const;
    const [off, named] = await atSource(t, started, { ...arrived, devices: DISK });
    assert.equal(off, 'autostart off');
    assert.match(named ?? '', stays);
  });

  test('leftovers are named at the end and on request, and no longer start with their host', async (t) => {
    const ended = async (source: Omit<Daemon, 'did'>): Promise<string[]> => {
      const did: string[] = [];
      const at = await host(t, { state: OFF, ...source, did }, { state: ARRIVED, mark: {}, did });
      const session = await LibvirtSession.open(at, UUID, signal);
      t.after(() => session.close());
      for (let again = 0; again < 2; again += 1) {
        const left = await session.finish(ORDER, signal).catch(toGodwitError);
        assert.equal(left?.retryable, false);
        did.push(left.message.replace(/.* is left to you, since /, ''));
      }
      return did;
    };
    const other = 'it is of another machine than at its destination';
    const off = `${other}; its autostart is off`;
    assert.deepEqual(await ended({ devices: DISK }), [off, off]);
    const on = await ended({ devices: DISK, autostart: 'on' });
    assert.deepEqual(on, ['autostart off', off, off]);
    const [stuck] = await ended({ devices: DISK, autostart: 'stuck' });
    assert.match(stuck ?? '', /; its autostart is on, .*: libvirt does not turn it off: refused$/);
    const tooOld = await ended({ isTooOld: true, autostart: 'on' });
    const kept = 'libvirt does not remove it: refused; its autostart is off';
    assert.deepEqual(tooOld, ['autostart off', kept, kept]);
  });

  test('leftovers are named with the removal command, even if images of copied disks could not be removed', async (t) => {
    const did: string[] = [];
    const there = { state: ARRIVED, mark: {}, did };
    const at = await host(t, { state: OFF, devices: DISK, did }, there);
    const session = await LibvirtSession.open(at, UUID, signal);
    t.after(() => session.close());
    const file = path.join(tempDir(t), 'web1.qcow2');
    writeFileSync(file, '');
    const identity = await identityOf(file);
    const copy = { file, format: 'qcow2', sizeBytes: 4096, place: 'd', identity };
    const order = { ...ORDER, copies: [{ name: 'vda', ...copy }] };
    const error = await session.finish(order, signal).catch(toGodwitError);
    assert.match(
      error?.message ?? '',
      /^libvirt on a refused `vol-delete`: refused; .*`undefine`: a definition of web1 .*machine/,
    );
    assert.match(error?.hint ?? '', /at a: `virsh undefine web1 --keep-nvram`/);
    // libvirt's own code stays below it.
    const [first, refusal] = [error?.cause, toGodwitError(error?.cause).cause];
    assert.deepEqual(
      [hasCode(first, 'GODWIT_HYPERVISOR'), refusal instanceof LibvirtRefusal],
      [true, true],
    );
    assert.deepEqual(did, []);
  });

  test('the image of a copied disk stays if it is another file now, or was never identified', async (t) => {
    const file = path.join(tempDir(t), 'web1.qcow2');
    writeFileSync(file, '');
    for (const [identity, why] of [
      ['1:1', /web1\.qcow2 there is left to you, since the file at this path is not the file/],
      [undefined, /there is left to you, since it is not known whether it is the file/],
    ] as const) {
      const did: string[] = [];
      const at = await host(t, { did }, { state: ARRIVED, mark: {}, did });
      const session = await LibvirtSession.open(at, UUID, signal);
      t.after(() => session.close());
      const copy = { file, format: 'qcow2', sizeBytes: 4096, place: 'd', identity };
      const order = { ...ORDER, copies: [{ name: 'vda', ...copy }] };
      const error = await session.finish(order, signal).catch(toGodwitError);
      assert.match(error?.message ?? '', why);
      assert.equal(error?.retryable, false);
    }
  });

  test('a mark that claims more than the guest has does not keep a migration from its end', async (t) => {
    const did: string[] = [];
    const mark = { autostart: 'yes' } as const;
    const arrived = { state: ARRIVED, mark, isTransient: true, did };
    const session = await LibvirtSession.open(await host(t, { did: [] }, arrived), UUID, signal);
    t.after(() => session.close());
    await session.finish(ORDER, signal);
    assert.deepEqual(did, ['unmark']);
  });

  const atDestination = async (
    t: TestContext,
    mark: Partial<Mark> | undefined,
    state: readonly [number, number],
  ): Promise<string[]> => {
    const did: string[] = [];
    const source = { state: RUNS, did: [], ...(mark === undefined ? {} : { mark }) };
    const both = await daemonPair(t, source, { state, did });
    await endAtDestination(both, ORDER, signal);
    await endAtDestination(both, ORDER, signal);
    return did;
  };

  test('a new definition at the destination of a guest that stayed is removed', async (t) => {
    assert.deepEqual(await atDestination(t, {}, FAILED), ['undefine']);
    assert.deepEqual(await atDestination(t, { defined: 'yes' }, FAILED), []);
    assert.deepEqual(await atDestination(t, { id: 'm-00000002' }, FAILED), []);
    assert.deepEqual(await atDestination(t, undefined, FAILED), []);
    for (const state of [RUNS, PAUSED])
      await assert.rejects(atDestination(t, {}, state), { code: 'GODWIT_MANAGERS_DISAGREE' });
  });

  /** What stands there stays, whatever the mark says. */
  const left = async (
    t: TestContext,
    source: Omit<Daemon, 'did'>,
    there: Omit<Daemon, 'did'>,
    expected: object,
  ): Promise<void> => {
    const did: string[] = [];
    const both = await daemonPair(t, { mark: {}, ...source, did }, { ...there, did });
    await assert.rejects(endAtDestination(both, ORDER, signal), expected);
    assert.deepEqual(did, there.autostart === 'on' ? ['autostart off'] : []);
  };

  test('a definition that stays at the destination loses its autostart', async (t) => {
    const message = /has run there; its autostart is off$/;
    await left(t, { state: RUNS }, { state: [5, 2], autostart: 'on' }, { message });
  });

  test("a definition at the destination stays while the source's copy waits: it may be the only whole one", async (t) => {
    const unsure = { code: 'GODWIT_MANAGERS_DISAGREE', retryable: true };
    for (const state of [PAUSED, POSTCOPY]) await left(t, { state }, { state: FAILED }, unsure);
  });

  test('a definition that has run there since, of another machine, or the only one, stays', async (t) => {
    const named = (message: RegExp) => ({ code: 'GODWIT_HYPERVISOR', retryable: false, message });
    for (const reason of [1, 2, 4, 5, 7])
      await left(t, { state: RUNS }, { state: [5, reason] }, named(/has run there/));
    const other = { state: FAILED, devices: DISK };
    await left(t, { state: RUNS }, other, named(/of another machine/));
    const transient = { state: RUNS, isTransient: true };
    await left(t, transient, { state: FAILED }, named(/has none at its source/));
    const none = { state: RUNS, mark: { persistent: 'no' } } as const;
    await left(t, none, { state: FAILED }, named(/its mark says that the guest had none/));
  });

  test('a destination that does not answer is named, and not waited for', async (t) => {
    const both = await daemonPair(t, { state: RUNS, mark: {}, did: [] });
    await assert.rejects(endAtDestination(both, ORDER, signal), {
      code: 'GODWIT_HYPERVISOR',
      retryable: false,
      message: /a copy or a definition of web1 may be left there/,
    });
  });
});
