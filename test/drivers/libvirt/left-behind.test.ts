import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { LibvirtEnds } from '../../../src/drivers/libvirt/ends.ts';
import type { LibvirtHost } from '../../../src/drivers/libvirt/ends.ts';
import { endAtDestination, endAtSource } from '../../../src/drivers/libvirt/left-behind.ts';
import { markElement } from '../../../src/drivers/libvirt/mark.ts';
import type { Mark } from '../../../src/drivers/libvirt/mark.ts';
import type { ManagedOrder } from '../../../src/migration/managed/task-sight.ts';
import { libvirtOptions } from '../../../src/drivers/libvirt/options.ts';
import { LibvirtSession } from '../../../src/drivers/libvirt/session.ts';
import { XdrWriter } from '../../../src/xdr.ts';
import { fakeDaemon } from './support/fake-daemon.ts';
import type { Answers } from './support/fake-daemon.ts';
import { ORDER } from './support/order.ts';

const signal = AbortSignal.timeout(60_000);
const UUID = '7b0d2f70-6a52-4f5e-9a3e-2c1f5b8e1001';
const [NO_DOMAIN, NO_METADATA, INVALID, UNSUPPORTED] = [42, 80, 55, 8];
/** VIR_DOMAIN_UNDEFINE_KEEP_NVRAM is 1 << 3 and _KEEP_TPM 1 << 6 in libvirt-domain.h. */
const [KEEP_NVRAM, KEEP_BOTH] = [8, 72];

/** virDomainState and its reason. */
const RUNS = [1, 1] as const;
const ARRIVED = [1, 2] as const;
const PAUSED = [3, 2] as const;
const POSTCOPY = [3, 12] as const;
const OFF = [5, 1] as const;
/** Off since it failed to arrive. */
const FAILED = [5, 6] as const;

interface Daemon {
  /** Undefined: it does not know the guest. */
  readonly state?: readonly [number, number];
  readonly mark?: Partial<Mark>;
  /** What was asked of it that changes something. */
  readonly did: string[];
  /** It removes no definition, as one before 8.9 none of a guest with a TPM. */
  readonly isTooOld?: boolean;
  /** Of its definition: what is in `devices`. */
  readonly devices?: string;
  readonly isTransient?: boolean;
}

const DISK =
  '<disk type="file" device="disk"><driver name="qemu" type="qcow2"/><source file="/d/web1.qcow2"/><target dev="vda" bus="virtio"/></disk>';
const TPM = '<tpm model="tpm-tis"><backend type="emulator" version="2.0"/></tpm>';
const xmlWith = (devices: string): string =>
  `<domain type="qemu"><name>web1</name><uuid>${UUID}</uuid><memory unit="KiB">1024</memory><vcpu>1</vcpu><os><type arch="x86_64" machine="pc-q35-7.2">hvm</type></os><devices>${devices}</devices></domain>`;

function answers(daemon: Daemon): Answers {
  const { state, did, mark, devices = '', isTransient = false, isTooOld = false } = daemon;
  let isThere = state !== undefined;
  let isRunning = state !== undefined && state[0] !== OFF[0];
  const written: Mark = {
    id: ORDER.id,
    state: 'sent',
    reason: '',
    autostart: 'no',
    persistent: 'yes',
    defined: 'no',
    ...mark,
  };
  const domain = (): XdrWriter | number =>
    isThere
      ? new XdrWriter()
          .string('web1')
          .uuid(UUID)
          .int32(isRunning ? 3 : -1)
      : NO_DOMAIN;
  return {
    66: () => new XdrWriter().uint32(1).int32(0),
    1: () => new XdrWriter(),
    24: domain,
    14: () => new XdrWriter().string(xmlWith(devices)),
    151: () => new XdrWriter().int32(isTransient ? 0 : 1),
    12: () => {
      did.push('destroy');
      isRunning = false;
      return new XdrWriter();
    },
    212: () => {
      const isAsSaid = isRunning || state?.[0] === OFF[0];
      const [is, reason] = isAsSaid ? (state ?? OFF) : OFF;
      return new XdrWriter().int32(is).int32(reason);
    },
    231: (asked) => {
      asked.string(64);
      asked.uuid();
      asked.int32();
      assert.equal(asked.uint32(), devices.includes('<tpm') ? KEEP_BOTH : KEEP_NVRAM);
      if (isTooOld) return UNSUPPORTED;
      did.push('undefine');
      isThere = false;
      return new XdrWriter();
    },
    29: () => {
      did.push('autostart');
      return isTransient ? INVALID : new XdrWriter();
    },
    264: () => {
      did.push('unmark');
      return new XdrWriter();
    },
    265: () => (mark === undefined ? NO_METADATA : new XdrWriter().string(markElement(written))),
    298: () => new XdrWriter().int32(0).uint32(0),
  };
}

async function host(t: TestContext, source: Daemon, there?: Daemon): Promise<LibvirtHost> {
  const uri = async (each: Daemon): Promise<string> =>
    `qemu+unix:///system?socket=${await fakeDaemon(t, answers(each))}`;
  const other = there === undefined ? 'qemu+unix:///system?socket=/none' : await uri(there);
  const options = libvirtOptions.parse({ hosts: { b: { uri: other } } });
  return { name: 'a', options, uri: await uri(source), outcomes: new Map(), hear: new Set() };
}

async function ends(t: TestContext, source: Daemon, there?: Daemon): Promise<LibvirtEnds> {
  const found = await LibvirtEnds.open(await host(t, source, there), UUID, signal);
  t.after(() => found.close());
  return found;
}

describe('what a daemon that died leaves behind', () => {
  const atSource = async (
    t: TestContext,
    source: Omit<Daemon, 'did'>,
    there: Omit<Daemon, 'did'>,
    order: ManagedOrder = ORDER,
  ): Promise<string[]> => {
    const did: string[] = [];
    const both = await ends(t, { ...source, did }, { ...there, did: [] });
    for (let again = 0; again < 2; again += 1) {
      const left = await endAtSource(both, order, signal);
      if (again === 1 && left !== undefined) did.push(left.message);
    }
    return did;
  };
  const isLeft = (did: readonly string[], why: RegExp): void => {
    assert.equal(did.length, 1, did.join());
    assert.match(did[0] ?? '', /^libvirt on a refused `undefine`: .* is left to you, since /);
    assert.match(did[0] ?? '', why);
  };

  test('at the source of a guest that has arrived: its paused copy and its definition, once', async (t) => {
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

  test('and nothing else there: no copy that runs or is needed, and none of another move', async (t) => {
    const arrived = { state: ARRIVED, mark: {} };
    for (const state of [RUNS, POSTCOPY])
      assert.deepEqual(await atSource(t, { state, mark: {} }, arrived), []);
    assert.deepEqual(await atSource(t, { state: PAUSED }, arrived), []);
    assert.deepEqual(await atSource(t, { state: PAUSED, mark: { id: 'm-00000002' } }, arrived), []);
    const other = { state: ARRIVED, mark: { id: 'm-00000002' } };
    assert.deepEqual(await atSource(t, { state: OFF }, other), []);
    assert.deepEqual(
      await atSource(t, { state: PAUSED, mark: {} }, { state: PAUSED, mark: {} }),
      [],
    );
  });

  test('no definition at the source that the mark does not speak of, or that is of another machine than arrived: it is named', async (t) => {
    const none = { state: ARRIVED, mark: { persistent: 'no' } } as const;
    isLeft(await atSource(t, { state: OFF }, none), /its mark says that the guest had none$/);
    const arrived = { state: ARRIVED, mark: {} };
    const other = { state: OFF, devices: DISK };
    isLeft(await atSource(t, other, arrived), /of another machine than at its destination$/);
    const transient = { ...arrived, isTransient: true };
    isLeft(await atSource(t, { state: OFF }, transient), /has none at its destination$/);
  });

  test('no copy that has a file with the running guest: libvirt would take it from it', async (t) => {
    const arrived = { state: ARRIVED, mark: {} };
    const copies = [
      { name: 'vda', file: '/d/web1.qcow2', format: 'qcow2', sizeBytes: 4096, place: 'd' },
    ];
    const ended = (devices: string, order: ManagedOrder): Promise<string[]> =>
      atSource(t, { state: PAUSED, mark: {}, devices }, { ...arrived, devices }, order);
    assert.deepEqual(await ended(DISK, ORDER), []);
    assert.deepEqual(await ended(DISK, { ...ORDER, copies }), ['destroy', 'undefine']);
    assert.deepEqual(await ended(DISK + TPM, { ...ORDER, copies }), []);
  });

  test('the rest is done at the end also where a definition stays, which the migration then names', async (t) => {
    const did: string[] = [];
    const source = { state: OFF, devices: DISK, did };
    const at = await host(t, source, { state: ARRIVED, mark: {}, did });
    const session = await LibvirtSession.open(at, UUID, signal);
    t.after(() => session.close());
    await assert.rejects(session.finish(ORDER, signal), {
      retryable: false,
      message: /left to you/,
    });
    assert.deepEqual(did, ['unmark']);
    const tooOld = await host(
      t,
      { state: OFF, isTooOld: true, did },
      { state: ARRIVED, mark: {}, did },
    );
    const refused = await LibvirtSession.open(tooOld, UUID, signal);
    t.after(() => refused.close());
    const code = 'GODWIT_HYPERVISOR';
    await assert.rejects(refused.finish(ORDER, signal), { code, message: /refused `undefine`/ });
    assert.deepEqual(did, ['unmark', 'unmark']);
  });

  test('a mark that claims more than the guest has keeps no migration from its end', async (t) => {
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
    const both = await ends(t, source, { state, did });
    await endAtDestination(both, ORDER, signal);
    await endAtDestination(both, ORDER, signal);
    return did;
  };

  test('at the destination of a guest that stayed: a definition that was not there before', async (t) => {
    assert.deepEqual(await atDestination(t, {}, FAILED), ['undefine']);
    assert.deepEqual(await atDestination(t, { defined: 'yes' }, FAILED), []);
    assert.deepEqual(await atDestination(t, { id: 'm-00000002' }, FAILED), []);
    assert.deepEqual(await atDestination(t, undefined, FAILED), []);
    for (const state of [RUNS, PAUSED]) assert.deepEqual(await atDestination(t, {}, state), []);
  });

  /** What stands there stays, whatever the mark says. */
  const left = async (
    t: TestContext,
    source: Omit<Daemon, 'did'>,
    there: Omit<Daemon, 'did'>,
    expected: object,
  ): Promise<void> => {
    const did: string[] = [];
    const both = await ends(t, { mark: {}, ...source, did }, { ...there, did });
    await assert.rejects(endAtDestination(both, ORDER, signal), expected);
    assert.deepEqual(did, []);
  };

  test('no definition at the destination while the source’s copy waits: it may be the only whole one', async (t) => {
    const unsure = { code: 'GODWIT_TASK_FAILED', retryable: true };
    for (const state of [PAUSED, POSTCOPY]) await left(t, { state }, { state: FAILED }, unsure);
  });

  test('no definition of a guest that has run there since, of another machine, or where it is the only one', async (t) => {
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
    const both = await ends(t, { state: RUNS, mark: {}, did: [] });
    await assert.rejects(endAtDestination(both, ORDER, signal), {
      code: 'GODWIT_HYPERVISOR',
      retryable: false,
      message: /a definition of web1 may be left there/,
    });
  });
});
