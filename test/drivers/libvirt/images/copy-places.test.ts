import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import {
  makePlaces,
  removeOriginals,
  removePlaces,
} from '../../../../src/drivers/libvirt/images/copy-places.ts';
import { DaemonPair } from '../../../../src/drivers/libvirt/daemon-pair.ts';
import { libvirtOptions } from '../../../../src/drivers/libvirt/options.ts';
import { markElement, type Mark } from '../../../../src/drivers/libvirt/mark.ts';
import type { ManagedOrder } from '../../../../src/migration/managed/task-sight.ts';
import { LibvirtRefusal } from '../../../../src/drivers/libvirt/rpc/connection.ts';
import { GodwitError } from '../../../../src/errors.ts';
import { identityOf } from '../../../../src/system/files/open-files.ts';
import { XdrWriter } from '../../../../src/formats/xdr.ts';
import { fakeDaemon, type Answers } from '../support/fake-daemon.ts';
import { ORDER as PLAIN } from '../support/order.ts';

const signal = AbortSignal.timeout(60_000);
const UUID = '7b0d2f70-6a52-4f5e-9a3e-2c1f5b8e1001';
const RUNNING = 1;
const ORDER: ManagedOrder = {
  ...PLAIN,
  copies: [{ name: 'vda', file: '/d/web1.qcow2', format: 'qcow2', sizeBytes: 4096, place: 'd' }],
};
const [NO_DOMAIN, NO_VOLUME, NO_METADATA, EXISTS] = [42, 50, 80, 90];
/** virDomainState, and reasons of a running guest and of one that is off. */
const OFF = 5;
const [BOOTED, ARRIVED, UNPAUSED, TAKEN_BACK] = [1, 2, 5, 6];
const [UNKNOWN, SHUTDOWN, DESTROYED, CRASHED, SAVED, FAILED] = [0, 1, 2, 3, 5, 6];
const MARKED: Mark = {
  id: PLAIN.id,
  state: 'sent',
  reason: '',
  autostart: 'no',
  persistent: 'yes',
  defined: 'no',
};

interface Images {
  /** Volumes by name: what of each lies on the storage, bytes. */
  readonly volumes: Map<string, number>;
  /** Of the guest's domain, and the reason. */
  readonly state?: readonly [number, number];
  readonly mark?: Partial<Mark>;
}

/** A daemon with one pool, which has the guest or does not. */
function answers({ volumes, state = [RUNNING, 1], mark }: Images, hasGuest: boolean): Answers {
  const isOff = state[0] === OFF;
  const pool = (): XdrWriter => new XdrWriter().string('d').uuid(UUID);
  const named = (name: string): XdrWriter => new XdrWriter().string('d').string(name).string(name);
  const domain = (): XdrWriter | number =>
    hasGuest
      ? new XdrWriter()
          .string('web1')
          .uuid(UUID)
          .int32(isOff ? -1 : 3)
      : NO_DOMAIN;
  return {
    66: () => new XdrWriter().uint32(1).int32(0),
    1: () => new XdrWriter(),
    24: domain,
    212: () => new XdrWriter().int32(state[0]).int32(state[1]),
    265: () =>
      mark === undefined
        ? NO_METADATA
        : new XdrWriter().string(markElement({ ...MARKED, ...mark })),
    298: () => new XdrWriter().int32(0).uint32(0),
    391: pool,
    83: () => new XdrWriter(),
    93: (asked) => {
      asked.string(64);
      asked.uuid();
      const xml = asked.string(4096);
      assert.match(xml, /<capacity unit="bytes">4096<.*<format type="qcow2"\/>/);
      const name = /<name>([^<]*)</.exec(xml)?.[1] ?? '';
      if (volumes.has(name)) return EXISTS;
      volumes.set(name, 0);
      return named(name);
    },
    94: (asked) => {
      asked.string(64);
      return volumes.delete(asked.string(64)) ? new XdrWriter() : NO_VOLUME;
    },
    95: (asked) => {
      asked.string(64);
      asked.uuid();
      const name = asked.string(64);
      return volumes.has(name) ? named(name) : NO_VOLUME;
    },
    98: (asked) => {
      asked.string(64);
      const taken = volumes.get(asked.string(64)) ?? 0;
      return new XdrWriter().int32(0).uint64(4096).uint64(taken);
    },
  };
}

async function daemonPair(
  t: TestContext,
  there: Images,
  at: 'a' | 'b' | 'both' | 'neither',
  own: Images = { volumes: new Map() },
): Promise<DaemonPair> {
  const uri = async (images: Images, hasGuest: boolean): Promise<string> =>
    `qemu+unix:///system?socket=${await fakeDaemon(t, answers(images, hasGuest))}`;
  const here = await uri(own, at === 'a' || at === 'both');
  const other = await uri(there, at === 'b' || at === 'both');
  const options = libvirtOptions.parse({ hosts: { b: { uri: other } } });
  const found = await DaemonPair.open(
    { name: 'a', options, uri: here, outcomes: new Map(), hear: new Set() },
    UUID,
    signal,
  );
  t.after(() => found.close());
  return found;
}

describe('volumes for copies', () => {
  test('volumes are created once, however often they are requested, and are removed again', async (t) => {
    const there: Images = { volumes: new Map() };
    const both = await daemonPair(t, there, 'a');
    await makePlaces(both, ORDER, signal);
    await makePlaces(both, ORDER, signal);
    assert.deepEqual([...there.volumes.keys()], ['web1.qcow2']);
    await removePlaces(both, ORDER, false, signal);
    await removePlaces(both, ORDER, false, signal);
    assert.deepEqual([...there.volumes.keys()], []);
  });

  type Place = Omit<Images, 'volumes'>;
  interface Undone {
    readonly own: Place;
    /** Undefined: the destination does not know the guest. */
    readonly other?: Place;
    readonly outcome?: 'cancelled' | 'failed';
  }

  /** The names of the volumes that stay at the destination of an ordered move whose guest is at its source. */
  async function undone(t: TestContext, { own, other, outcome }: Undone) {
    const there: Images = { ...other, volumes: new Map([['web1.qcow2', 2 ** 30]]) };
    const here = { ...own, volumes: new Map<string, number>() };
    const both = await daemonPair(t, there, other === undefined ? 'a' : 'both', here);
    const cause = new LibvirtRefusal({ code: 9, domain: 0, message: 'refused' });
    if (outcome !== undefined)
      both.host.outcomes.set(ORDER.id, { state: outcome, reason: 'refused', cause });
    const kept = await removePlaces(both, ORDER, true, signal);
    const again = await removePlaces(both, ORDER, true, signal);
    assert.equal(again?.message, kept?.message);
    return { kept, left: [...there.volumes.keys()] };
  }

  const running = (reason: number, mark: Partial<Mark> = {}): Place => ({
    state: [RUNNING, reason],
    mark,
  });

  test('volumes with a part of a copy are removed if the guest never ran on them', async (t) => {
    const proofs: readonly Undone[] = [
      { own: running(BOOTED) },
      { own: running(ARRIVED), outcome: 'failed' },
      { own: running(BOOTED), other: { state: [OFF, FAILED] } },
      { own: running(BOOTED, { defined: 'yes' }), other: { state: [OFF, SHUTDOWN] } },
      { own: running(TAKEN_BACK), outcome: 'cancelled' },
      { own: running(TAKEN_BACK, { state: 'cancelled' }) },
      { own: running(TAKEN_BACK, { second: 'ran' }), other: { state: [OFF, DESTROYED] } },
    ];
    for (const each of proofs)
      assert.deepEqual(await undone(t, each), { kept: undefined, left: [] }, JSON.stringify(each));
  });

  test('volumes that the guest may have written stay and are named once the source has taken it back', async (t) => {
    const unsure: readonly Undone[] = [
      ...[UNKNOWN, SHUTDOWN, DESTROYED, CRASHED, SAVED, FAILED].map((reason): Undone => ({
        own: running(TAKEN_BACK),
        other: { state: [OFF, reason] },
        outcome: 'failed',
      })),
      { own: running(TAKEN_BACK) },
      { own: running(UNPAUSED) },
      { own: running(BOOTED), other: { state: [OFF, SHUTDOWN] } },
      // The guest at the source has been started since the order.
      { own: { state: [RUNNING, BOOTED] } },
    ];
    for (const each of unsure) {
      const { kept, left } = await undone(t, each);
      assert.deepEqual(left, ['web1.qcow2'], JSON.stringify(each));
      assert.deepEqual([kept?.code, kept?.retryable], ['GODWIT_HYPERVISOR', false]);
      assert.match(kept?.message ?? '', /on b .*\/d\/web1\.qcow2 there is left to you/);
      assert.match(kept?.hint ?? '', /rename the file/);
    }
  });

  test('the next move is refused by the name of a kept volume, without a call to delete it', async (t) => {
    const there: Images = { volumes: new Map([['web1.qcow2', 2 ** 30]]) };
    await assert.rejects(makePlaces(await daemonPair(t, there, 'a'), ORDER, signal), (thrown) => {
      assert.ok(thrown instanceof GodwitError);
      assert.equal(thrown.code, 'GODWIT_DISK_PLACE');
      assert.match(thrown.message, /web1\.qcow2/);
      assert.match(thrown.hint, /may hold the only copy.*rename the file/);
      assert.doesNotMatch(thrown.hint, /delete/);
      return true;
    });
  });

  test('volumes that another program created are left alone', async (t) => {
    const there: Images = { volumes: new Map([['web1.qcow2', 2 ** 30]]) };
    const both = await daemonPair(t, there, 'a');
    await assert.rejects(makePlaces(both, ORDER, signal), { code: 'GODWIT_DISK_PLACE' });
    await removePlaces(both, ORDER, false, signal);
    assert.deepEqual([...there.volumes.keys()], ['web1.qcow2']);
  });

  test('volumes stay if the guest runs at the destination, or may run there', async (t) => {
    const there: Images = { volumes: new Map([['web1.qcow2', 0]]) };
    const both = await daemonPair(t, there, 'b');
    await assert.rejects(removePlaces(both, ORDER, true, signal), {
      code: 'GODWIT_MANAGERS_DISAGREE',
      message: /its volumes at b stay: \/d\/web1\.qcow2/,
    });
    assert.deepEqual([...there.volumes.keys()], ['web1.qcow2']);
  });
});

describe('the images at the source', () => {
  const [IS_RUNNING, IS_OFF] = [RUNNING, OFF];

  /** A guest that has left a host with one image, and what is left of that. */
  async function original(t: TestContext) {
    const folder = await mkdtemp(path.join(tmpdir(), 'godwit-originals-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = path.join(folder, 'web1.qcow2');
    await writeFile(file, 'data');
    const identity = await identityOf(file);
    const copies = ORDER.copies?.map((copy) => ({ ...copy, file, identity })) ?? [];
    return { file, order: { ...ORDER, copies }, own: { volumes: new Map([['web1.qcow2', 4]]) } };
  }

  test('source images are removed once the guest runs at its destination, or has shut itself down there', async (t) => {
    for (const state of [[IS_RUNNING, 1] as const, [IS_OFF, SHUTDOWN] as const]) {
      const { order, own } = await original(t);
      const both = await daemonPair(t, { volumes: new Map(), state }, 'b', own);
      await removeOriginals(both, order, signal);
      assert.equal(own.volumes.size, 0, state.join());
    }
  });

  test("source images are removed after libvirt's answer that the guest has moved, however it ended there", async (t) => {
    const { order, own } = await original(t);
    const there = { volumes: new Map<string, number>(), state: [IS_OFF, DESTROYED] as const };
    const both = await daemonPair(t, there, 'b', own);
    both.host.outcomes.set(order.id, { state: 'done' });
    await removeOriginals(both, order, signal);
    assert.equal(own.volumes.size, 0);
  });

  test('source images stay and are named if it is unknown whether the guest has run at its destination', async (t) => {
    const named = { code: 'GODWIT_MANAGERS_DISAGREE', message: /images at a stay: \/.*web1.qcow2/ };
    for (const [at, reason] of [
      ['b', DESTROYED],
      ['b', FAILED],
      ['neither', SHUTDOWN],
    ] as const) {
      const { order, own } = await original(t);
      const there = { volumes: new Map<string, number>(), state: [IS_OFF, reason] as const };
      await assert.rejects(
        removeOriginals(await daemonPair(t, there, at, own), order, signal),
        named,
      );
      assert.equal(own.volumes.size, 1);
    }
    const { order, own } = await original(t);
    const vouched = { ...order, vouched: 'destination' } as const;
    const there = { volumes: new Map<string, number>(), state: [IS_OFF, SHUTDOWN] as const };
    await assert.rejects(
      removeOriginals(await daemonPair(t, there, 'b', own), vouched, signal),
      named,
    );
    assert.equal(own.volumes.size, 1);
  });
});
