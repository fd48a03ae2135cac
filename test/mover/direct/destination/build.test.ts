import assert from 'node:assert/strict';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../../../src/clock.ts';
import { parseAgentConfig } from '../../../../src/config.ts';
import type { DestinationSession } from '../../../../src/port/direct.ts';
import { silentLog } from '../../../../src/log.ts';
import type { DestinationState } from '../../../../src/migration/direct/destination.ts';
import {
  build,
  welcome,
  type BuildContext,
} from '../../../../src/mover/direct/destination/build.ts';
import type { Ledger } from '../../../../src/mover/direct/destination/ledger.ts';
import { openPlaceIds } from '../../../../src/mover/direct/destination/disks/place-ids.ts';
import { openPools } from '../../../../src/disks/proof/pools.ts';
import { tempDir } from '../../../rpc/test-contract.ts';
import { FirstFrame } from '../../../../src/mover/direct/destination/first-frame.ts';
import { until } from '../../../until.ts';

const config = parseAgentConfig(
  'b.json',
  JSON.stringify({ name: 'b', address: '127.0.0.1:1', stateDir: '/tmp' }),
);

/** What a guest's balloon is asked for once it runs here, and whether it is announced. */
async function welcomed(balloon: 'free' | undefined, run = 'running') {
  const asked: number[] = [];
  let isAnnounced = false;
  let looks = 0;
  const session = {
    status: async () => {
      looks += 1;
      return { run };
    },
    balloon: { resize: async (bytes: number) => void asked.push(bytes) },
    announce: async () => {
      isAnnounced = true;
    },
  } as unknown as DestinationSession;
  const state = {
    admission: { guest: 'web1', settings: balloon === undefined ? undefined : { balloon } },
    preparation: { description: { memoryBytes: 4096 } },
    ports: {},
  } as unknown as DestinationState;
  const firstFrame = { isMissingOn: () => false };
  const context = { config, log: silentLog, firstFrame } as unknown as BuildContext;
  welcome(session, state, context);
  await context.announced;
  if (balloon !== undefined)
    await until('its hypervisor to be asked', 5000, async () => looks > 0 || undefined);
  assert.ok(isAnnounced);
  return asked;
}

test('a guest that came with --balloon is given its memory back as soon as it runs here', async () => {
  assert.deepEqual(await welcomed('free'), [4096]);
  assert.deepEqual(await welcomed(undefined), []);
  assert.deepEqual(await welcomed('free', 'gone'), []);
});

/** How a guest is announced whose ports have taken so many frames after the first announcement. */
async function announced(frames: Readonly<Record<string, number>>, fails = false) {
  const calls: string[] = [];
  const counts: Record<string, number | undefined> = {};
  const session = {
    announce: async () => {
      calls.push('now');
      if (fails) throw new Error('its monitor is gone');
      Object.assign(counts, frames);
    },
    announceForLong: async () => void calls.push('for long'),
  } as unknown as DestinationSession;
  const ports = { net0: 'tap0', net1: 'tap1' };
  const state = { admission: { guest: 'web1' }, ports } as unknown as DestinationState;
  const firstFrame = new FirstFrame(systemClock, (port) => counts[port]);
  const context = { config, log: silentLog, firstFrame } as unknown as BuildContext;
  welcome(session, state, context);
  await context.announced;
  return calls;
}

test('a guest is announced for longer if the first announcement did not come out of each port', async () => {
  assert.deepEqual(await announced({ tap0: 1, tap1: 3 }), ['now']);
  assert.deepEqual(await announced({ tap0: 1, tap1: 0 }), ['now', 'for long']);
  assert.deepEqual(await announced({}), ['now'], 'a port that is not there');
  assert.deepEqual(await announced({ tap0: 0 }, true), ['now']);
});

test('a hypervisor that has opened another file than the guest’s image is refused before memory flows', async (t) => {
  const stateDir = tempDir(t);
  const root = path.join(stateDir, 'pool');
  mkdirSync(root);
  writeFileSync(path.join(root, 'disk.raw'), 'x');
  const name = { name: 'b', address: '127.0.0.1:1', stateDir, storage: [{ path: root }] };
  const own = parseAgentConfig('b.json', JSON.stringify(name));
  const placeIds = openPlaceIds(stateDir);
  const [pool] = await openPools(own.storage);
  const image = { node: 'top', format: 'raw' as const, bytes: 1, readOnly: false };
  const place = {
    node: 'top',
    pool: placeIds.proved(pool?.id ?? '', ''),
    path: 'disk.raw',
    inode: String(statSync(path.join(root, 'disk.raw')).ino),
  };
  const preparation = {
    epoch: 1,
    description: {
      driver: 'qemu',
      name: 'web1',
      memoryBytes: 1,
      vcpus: 1,
      hypervisorVersion: '10.0',
      disks: [{ name: 'vda', images: [image] }],
      spec: {},
    },
    stream: { mode: 'precopy' as const, streams: 1, compress: 'none' as const, tls: true as const },
    places: [place],
  };
  const built = (inode: string) => {
    const recorded: string[] = [];
    const session = {
      nics: () => [],
      start: async () => ({ handle: { pid: 1 }, memoryAddress: 'unix:/m' }),
      opened: async () => ({ identities: new Map([['top', `7:${inode}`]]), strange: [] }),
    } as unknown as DestinationSession;
    const ledger = {
      state: {
        admission: { id: 'm-aaaaaaaa', guest: 'web1', from: 'a', memoryBytes: 1, epoch: 1 },
        ports: {},
        bases: [],
      },
      record: async ({ type }: { type: string }) => void recorded.push(type),
    } as unknown as Ledger;
    const context = {
      config: own,
      placeIds,
      ports: { map: async () => [], bound: async () => undefined },
      dataPath: {
        socketFor: () => '/m',
        address: async (_: unknown, at: string) => at,
        abort: () => undefined,
      },
    } as unknown as BuildContext;
    const done = build(context, ledger, session, preparation, AbortSignal.timeout(20_000));
    return { done, recorded };
  };
  const right = built(place.inode);
  await right.done;
  assert.deepEqual(right.recorded, ['preparing', 'prepared']);
  const wrong = built('1');
  await assert.rejects(wrong.done, {
    code: 'GODWIT_DISK_MISSING',
    message: /disk\.raw of web1: the file at this path there is not the file that the guest has/,
  });
  assert.deepEqual(wrong.recorded, ['preparing', 'failed']);
});
