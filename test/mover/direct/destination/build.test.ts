import assert from 'node:assert/strict';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../../../src/clock.ts';
import { parseAgentConfig } from '../../../../src/config.ts';
import type { DestinationSession } from '../../../../src/port/direct.ts';
import { silentLog } from '../../../../src/log.ts';
import {
  build,
  buildContext,
  type BuildContext,
} from '../../../../src/mover/direct/destination/build.ts';
import type { DestinationContext } from '../../../../src/mover/direct/destination/destination-context.ts';
import type { Ledger } from '../../../../src/mover/direct/destination/ledger.ts';
import { openPlaceIds } from '../../../../src/mover/direct/destination/disks/place-ids.ts';
import { openPools } from '../../../../src/disks/proof/pools.ts';
import { tempDir } from '../../../rpc/test-contract.ts';

test("a hypervisor that has opened another file than the guest's image is refused before memory moves", async (t) => {
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
    const parts = { config: own, placeIds, clock: systemClock, log: silentLog };
    const context = {
      ...buildContext(parts as unknown as DestinationContext),
      ports: { map: async () => [], bound: async () => undefined },
      dataPath: {
        setup: () => ({}),
        address: async (_: unknown, at: string) => at,
        abort: () => undefined,
      },
    } as unknown as BuildContext;
    const ways = { ...context, open: async () => session };
    const done = build(context, ledger, ways, preparation, AbortSignal.timeout(20_000));
    return { done, recorded };
  };
  const right = built(place.inode);
  await right.done;
  assert.deepEqual(right.recorded, ['preparing', 'prepared']);
  const wrong = built('1');
  await assert.rejects(wrong.done, {
    code: 'GODWIT_DISK_REPLACED',
    message:
      /disk\.raw\) cannot move: the file at this path there is not the file that the guest has/,
  });
  assert.deepEqual(wrong.recorded, ['preparing', 'failed']);
});
