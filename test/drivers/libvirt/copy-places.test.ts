import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { makePlaces, removePlaces } from '../../../src/drivers/libvirt/copy-places.ts';
import { DaemonPair } from '../../../src/drivers/libvirt/daemon-pair.ts';
import { libvirtOptions } from '../../../src/drivers/libvirt/options.ts';
import type { ManagedOrder } from '../../../src/migration/managed/task-sight.ts';
import { XdrWriter } from '../../../src/formats/xdr.ts';
import { fakeDaemon, type Answers } from './support/fake-daemon.ts';
import { ORDER as PLAIN } from './support/order.ts';

const signal = AbortSignal.timeout(60_000);
const UUID = '7b0d2f70-6a52-4f5e-9a3e-2c1f5b8e1001';
const RUNNING = 1;
const ORDER: ManagedOrder = {
  ...PLAIN,
  copies: [{ name: 'vda', file: '/d/web1.qcow2', format: 'qcow2', sizeBytes: 4096, place: 'd' }],
};
const [NO_DOMAIN, NO_VOLUME, EXISTS] = [42, 50, 90];

interface Images {
  /** Volumes by name: what of each lies on the storage, bytes. */
  readonly volumes: Map<string, number>;
}

/** A daemon with one pool, which has the guest or does not. */
function answers({ volumes }: Images, hasGuest: boolean): Answers {
  const pool = (): XdrWriter => new XdrWriter().string('d').uuid(UUID);
  const named = (name: string): XdrWriter => new XdrWriter().string('d').string(name).string(name);
  const domain = (): XdrWriter | number =>
    hasGuest ? new XdrWriter().string('web1').uuid(UUID).int32(3) : NO_DOMAIN;
  return {
    66: () => new XdrWriter().uint32(1).int32(0),
    1: () => new XdrWriter(),
    24: domain,
    212: () => new XdrWriter().int32(RUNNING).int32(1),
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

async function daemonPair(t: TestContext, there: Images, at: 'a' | 'b'): Promise<DaemonPair> {
  const uri = async (images: Images, hasGuest: boolean): Promise<string> =>
    `qemu+unix:///system?socket=${await fakeDaemon(t, answers(images, hasGuest))}`;
  const here = await uri({ volumes: new Map() }, at === 'a');
  const options = libvirtOptions.parse({ hosts: { b: { uri: await uri(there, at === 'b') } } });
  const found = await DaemonPair.open(
    { name: 'a', options, uri: here, outcomes: new Map(), hear: new Set() },
    UUID,
    signal,
  );
  t.after(() => found.close());
  return found;
}

describe('volumes for copies', () => {
  test('are made once however often they are asked for, and are removed again', async (t) => {
    const there: Images = { volumes: new Map() };
    const both = await daemonPair(t, there, 'a');
    await makePlaces(both, ORDER, signal);
    await makePlaces(both, ORDER, signal);
    assert.deepEqual([...there.volumes.keys()], ['web1.qcow2']);
    await removePlaces(both, ORDER, false, signal);
    await removePlaces(both, ORDER, false, signal);
    assert.deepEqual([...there.volumes.keys()], []);
  });

  test('that hold a part of a copy are removed once the move was ordered', async (t) => {
    const there: Images = { volumes: new Map([['web1.qcow2', 2 ** 30]]) };
    await removePlaces(await daemonPair(t, there, 'a'), ORDER, true, signal);
    assert.deepEqual([...there.volumes.keys()], []);
  });

  test('leave alone what somebody else has put there', async (t) => {
    const there: Images = { volumes: new Map([['web1.qcow2', 2 ** 30]]) };
    const both = await daemonPair(t, there, 'a');
    await assert.rejects(makePlaces(both, ORDER, signal), { code: 'GODWIT_DISK_PLACE' });
    await removePlaces(both, ORDER, false, signal);
    assert.deepEqual([...there.volumes.keys()], ['web1.qcow2']);
  });

  test('stay where the guest runs at the destination, or may', async (t) => {
    const there: Images = { volumes: new Map([['web1.qcow2', 0]]) };
    const both = await daemonPair(t, there, 'b');
    await assert.rejects(removePlaces(both, ORDER, true, signal), {
      code: 'GODWIT_MANAGERS_DISAGREE',
    });
    assert.deepEqual([...there.volumes.keys()], ['web1.qcow2']);
  });
});
