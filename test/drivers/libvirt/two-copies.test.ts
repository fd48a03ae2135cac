import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { LibvirtSession } from '../../../src/drivers/libvirt/session.ts';
import { endSecondCopy, whereIs, wordsOfSecond } from '../../../src/drivers/libvirt/two-copies.ts';
import type { ManagedOrder } from '../../../src/migration/managed/task-sight.ts';
import { ORDER } from './support/order.ts';
import {
  ARRIVED,
  DISK,
  daemonPair,
  host,
  OFF,
  PAUSED,
  POSTCOPY,
  RUNS,
  TAKEN_BACK,
  TPM,
  UUID,
  type Daemon,
} from './support/two-daemons.ts';

const signal = AbortSignal.timeout(60_000);
const copies = [
  { name: 'vda', file: '/d/web1.qcow2', format: 'qcow2', sizeBytes: 4096, place: 'd' },
];
const COPIED: ManagedOrder = { ...ORDER, copies };

type DaemonState = Omit<Daemon, 'did'>;
const STAYED: DaemonState = { state: RUNS, mark: {}, devices: DISK };
const CAME: DaemonState = { state: ARRIVED, mark: {}, devices: DISK };

describe('a guest with a second copy after a lost answer', () => {
  const ended = async (
    t: TestContext,
    source: DaemonState,
    there: DaemonState,
    order = COPIED,
  ): Promise<{ readonly did: string[]; readonly said: readonly (string | undefined)[] }> => {
    const did: string[] = [];
    const both = await daemonPair(t, { ...source, did }, { ...there, did });
    const said: (string | undefined)[] = [];
    for (let again = 0; again < 2; again += 1) {
      await endSecondCopy(both, order, signal);
      said.push(await wordsOfSecond(both, order, signal));
    }
    return { did, said };
  };

  test('the guest runs at its source: the copy is ended with its definition, once, and that is reported', async (t) => {
    const { did, said } = await ended(t, STAYED, CAME);
    assert.deepEqual(did, ['mark ran', 'destroy', 'undefine']);
    const [first, again] = said;
    assert.match(first ?? '', /^libvirt ran web1 at both hosts, .* what that did is lost$/);
    assert.equal(again, first);
  });

  test('a copy that only waited may be ended: nothing is lost with it', async (t) => {
    const paused = await ended(t, STAYED, { ...CAME, state: PAUSED });
    assert.deepEqual(paused.did, ['mark waited', 'destroy', 'undefine']);
    assert.equal(paused.said[0], 'a copy of web1 that waited at b was ended');
    const did: string[] = [];
    const both = await daemonPair(t, { ...STAYED, did }, { ...CAME, state: PAUSED, did });
    const unsure = { code: 'GODWIT_MANAGERS_DISAGREE', retryable: true };
    await assert.rejects(endSecondCopy(both, ORDER, signal), unsure);
    assert.deepEqual(did, []);
  });

  test('an earlier definition, or one of another machine, stays', async (t) => {
    const before = { ...STAYED, mark: { defined: 'yes' } } as const;
    assert.deepEqual((await ended(t, before, CAME)).did, ['mark ran', 'destroy']);
    const transient = await ended(t, STAYED, { ...CAME, isTransient: true });
    assert.deepEqual(transient.did, ['mark ran', 'destroy']);
  });

  test('a copy that shares files with the guest stays paused, and is left to a person', async (t) => {
    for (const [devices, order] of [
      [DISK, ORDER],
      [DISK + TPM, COPIED],
    ] as const) {
      const did: string[] = [];
      const there = { ...CAME, devices, did, autostart: 'on' } as const;
      const both = await daemonPair(t, { ...STAYED, did }, there);
      await assert.rejects(endSecondCopy(both, order, signal), {
        code: 'GODWIT_HYPERVISOR',
        retryable: false,
        message:
          /its copy there, with its definition, is paused, and left to you.*; its autostart is off$/,
      });
      assert.deepEqual(did, ['suspend', 'autostart off']);
    }
  });

  test('a guest of another move, or one that its source does not run, is not ended', async (t) => {
    const other = { mark: { id: 'm-00000002' } };
    const none: readonly (readonly [DaemonState, DaemonState])[] = [
      [STAYED, { ...CAME, ...other }],
      [{ ...STAYED, ...other }, CAME],
      [STAYED, { state: ARRIVED, devices: DISK }],
      [{ state: RUNS, devices: DISK }, CAME],
      [{ ...STAYED, state: PAUSED }, CAME],
      [{ ...STAYED, state: POSTCOPY }, CAME],
      [{ ...STAYED, state: OFF }, CAME],
      // Paused by a person, for an error of its disk or since libvirt could not run it again; shutting down; crashed.
      [{ ...STAYED, state: [3, 1] }, CAME],
      [{ ...STAYED, state: [3, 5] }, CAME],
      [{ ...STAYED, state: [3, 14] }, CAME],
      [{ ...STAYED, state: [4, 0] }, CAME],
      [{ ...STAYED, state: [6, 0] }, CAME],
      [{}, CAME],
      [STAYED, {}],
    ];
    for (const [source, there] of none)
      assert.deepEqual((await ended(t, source, there)).did, [], JSON.stringify([source, there]));
  });

  test('the guest is at its source for every caller', async (t) => {
    const where = async (source: DaemonState, there: DaemonState): Promise<unknown> =>
      whereIs(await daemonPair(t, { ...source, did: [] }, { ...there, did: [] }), COPIED, signal);
    const second = { at: 'source', busy: false, second: true };
    assert.deepEqual(await where(STAYED, CAME), second);
    assert.deepEqual(await where(STAYED, { ...CAME, state: PAUSED }), second);
    const unmarked = { state: ARRIVED, devices: DISK };
    assert.deepEqual(await where(STAYED, unmarked), { at: 'unknown', busy: true });
  });

  test("the guest has moved by libvirt's answer if it ended at its destination before a look", async (t) => {
    const where = async (
      outcome: 'done' | 'unheard',
      state: readonly [number, number] | undefined,
    ) => {
      const there = state === undefined ? { did: [] } : { state, did: [] };
      const both = await daemonPair(t, { did: [] }, there);
      both.host.outcomes.set(ORDER.id, { state: outcome });
      return whereIs(both, ORDER, signal);
    };
    const destroyed = [5, 2] as const;
    const there = { at: 'destination', busy: false };
    assert.deepEqual(await where('done', OFF), { ...there, ended: 'shut-down' });
    assert.deepEqual(await where('done', destroyed), { ...there, ended: 'ordered' });
    assert.equal((await where('unheard', OFF)).at, 'unknown');
    assert.equal((await where('done', undefined)).at, 'unknown');
  });

  test("the guest's copy is named by the call that cleans up the preparation, even if it is repeated", async (t) => {
    const did: string[] = [];
    const stayed = { ...STAYED, devices: '', did };
    const at = await host(t, stayed, { ...CAME, devices: '', did });
    // A mover opens a session of its own after each error.
    for (let again = 0; again < 2; again += 1) {
      const session = await LibvirtSession.open(at, UUID, signal);
      const found = await session.unprepare(ORDER, true, signal);
      assert.match(found ?? '', /^libvirt ran web1 at both hosts/);
      await session.close();
    }
    assert.deepEqual(did, ['mark ran', 'destroy', 'undefine']);
  });

  test('a guest that ran and ended at its destination leaves its volumes and its definition there, named in one error', async (t) => {
    const did: string[] = [];
    const source = { ...STAYED, state: TAKEN_BACK, did };
    const there = { state: OFF, devices: DISK, autostart: 'on', hasVolume: true, did } as const;
    const session = await LibvirtSession.open(await host(t, source, there), UUID, signal);
    t.after(() => session.close());
    await assert.rejects(session.unprepare(COPIED, true, signal), {
      code: 'GODWIT_HYPERVISOR',
      retryable: false,
      message:
        /a definition of web1 there is left to you.* autostart is off; .*\/d\/web1\.qcow2 there is left to you/,
      hint: /Only the named files may have what it wrote at b/,
    });
    assert.deepEqual(did, ['autostart off']);
  });

  test('a destination that does not answer is not waited for: the possible copy is reported', async (t) => {
    const session = await LibvirtSession.open(await host(t, { ...STAYED, did: [] }), UUID, signal);
    t.after(() => session.close());
    await assert.rejects(session.unprepare(ORDER, true, signal), {
      code: 'GODWIT_HYPERVISOR',
      retryable: false,
      message: /a copy or a definition of web1 may be left there/,
    });
  });
});
