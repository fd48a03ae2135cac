import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { LibvirtSession } from '../../../src/drivers/libvirt/session.ts';
import { endSecondCopy, whereIs } from '../../../src/drivers/libvirt/two-copies.ts';
import type { ManagedOrder } from '../../../src/migration/managed/task-sight.ts';
import { ORDER } from './support/order.ts';
import {
  ARRIVED,
  DISK,
  ends,
  host,
  OFF,
  PAUSED,
  POSTCOPY,
  RUNS,
  TPM,
  UUID,
} from './support/two-daemons.ts';
import type { Daemon } from './support/two-daemons.ts';

const signal = AbortSignal.timeout(60_000);
const copies = [
  { name: 'vda', file: '/d/web1.qcow2', format: 'qcow2', sizeBytes: 4096, place: 'd' },
];
const COPIED: ManagedOrder = { ...ORDER, copies };

type Seen = Omit<Daemon, 'did'>;
const STAYED: Seen = { state: RUNS, mark: {}, devices: DISK };
const CAME: Seen = { state: ARRIVED, mark: {}, devices: DISK };

describe('a guest that libvirt runs at both hosts, since an answer was lost', () => {
  const ended = async (
    t: TestContext,
    source: Seen,
    there: Seen,
    order = COPIED,
  ): Promise<{ readonly did: string[]; readonly said: readonly (string | undefined)[] }> => {
    const did: string[] = [];
    const both = await ends(t, { ...source, did }, { ...there, did });
    const first = await endSecondCopy(both, order, signal);
    return { did, said: [first, await endSecondCopy(both, order, signal)] };
  };

  test('runs at its source: the copy is ended with its definition, once, and that is said', async (t) => {
    const { did, said } = await ended(t, STAYED, CAME);
    assert.deepEqual(did, ['destroy', 'undefine']);
    const [first, again] = said;
    assert.match(first ?? '', /^libvirt ran web1 at both hosts, .* what that did is lost$/);
    assert.equal(again, undefined);
    const paused = await ended(t, STAYED, { ...CAME, state: PAUSED });
    assert.deepEqual(paused.did, ['destroy', 'undefine']);
  });

  test('keeps a definition that was there before, or is of another machine', async (t) => {
    const before = { ...STAYED, mark: { defined: 'yes' } } as const;
    assert.deepEqual((await ended(t, before, CAME)).did, ['destroy']);
    const transient = await ended(t, STAYED, { ...CAME, isTransient: true });
    assert.deepEqual(transient.did, ['destroy']);
  });

  test('keeps a copy that has files with the guest: it is paused, and left to a person', async (t) => {
    for (const [devices, order] of [
      [DISK, ORDER],
      [DISK + TPM, COPIED],
    ] as const) {
      const did: string[] = [];
      const both = await ends(t, { ...STAYED, did }, { ...CAME, devices, did });
      await assert.rejects(endSecondCopy(both, order, signal), {
        code: 'GODWIT_HYPERVISOR',
        retryable: false,
        message: /its copy there is paused, and left to you/,
      });
      assert.deepEqual(did, ['suspend']);
    }
  });

  test('and nothing else is ended: no guest of another move, none that its source does not run', async (t) => {
    const other = { mark: { id: 'm-00000002' } };
    const none: readonly (readonly [Seen, Seen])[] = [
      [STAYED, { ...CAME, ...other }],
      [{ ...STAYED, ...other }, CAME],
      [STAYED, { state: ARRIVED, devices: DISK }],
      [{ state: RUNS, devices: DISK }, CAME],
      [{ ...STAYED, state: PAUSED }, CAME],
      [{ ...STAYED, state: POSTCOPY }, CAME],
      [{ ...STAYED, state: OFF }, CAME],
      [{}, CAME],
      [STAYED, {}],
    ];
    for (const [source, there] of none)
      assert.deepEqual((await ended(t, source, there)).did, [], JSON.stringify([source, there]));
  });

  test('is at its source, for whoever asks where it is', async (t) => {
    const where = async (source: Seen, there: Seen): Promise<unknown> =>
      whereIs(await ends(t, { ...source, did: [] }, { ...there, did: [] }), COPIED, signal);
    assert.deepEqual(await where(STAYED, CAME), { at: 'source', busy: false });
    assert.deepEqual(await where(STAYED, { ...CAME, state: PAUSED }), {
      at: 'source',
      busy: false,
    });
    const unmarked = { state: ARRIVED, devices: DISK };
    assert.deepEqual(await where(STAYED, unmarked), { at: 'unknown', busy: true });
  });

  test('is named by whoever takes back what was prepared, also when that is asked again', async (t) => {
    const did: string[] = [];
    const [stayed, came] = [
      { ...STAYED, devices: '', did },
      { ...CAME, devices: '', did },
    ];
    const session = await LibvirtSession.open(await host(t, stayed, came), UUID, signal);
    t.after(() => session.close());
    const found = await session.unprepare(ORDER, true, signal);
    assert.match(found ?? '', /^libvirt ran web1 at both hosts/);
    assert.equal(await session.unprepare(ORDER, true, signal), found);
    assert.deepEqual(did, ['destroy', 'undefine']);
  });
});
