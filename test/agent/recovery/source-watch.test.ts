import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { SourceWatch } from '../../../src/agent/recovery/source-watch.ts';
import { Standbys } from '../../../src/agent/recovery/standbys.ts';
import { godwitError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import type { KernelLook } from '../../../src/migration/standby/source-sight.ts';
import { standbyOffer } from '../../../src/protocol/peer/standby.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const DAY_MS = 86_400_000;
const DIGEST = '1'.repeat(64);
const offer = standbyOffer.parse({
  admission: {
    id: 'c-0000000000000001',
    guest: 'web1',
    from: 'a',
    memoryBytes: 1,
    epoch: 1,
    timeoutMs: 1,
  },
  preparation: {
    epoch: 1,
    description: {
      driver: 'fake',
      name: 'web1',
      memoryBytes: 1,
      vcpus: 1,
      hypervisorVersion: '1',
      spec: {},
    },
    stream: { mode: 'precopy', streams: 1, compress: 'none', tls: true },
  },
  digest: DIGEST,
});

function scene(t: TestContext) {
  const world = {
    now: 0,
    kernel: 'answers' as KernelLook,
    asked: 0,
    members: { a: 'a:7000' } as Record<string, string> | 'damaged',
  };
  const clock = {
    monotonicMs: () => world.now,
    wallMs: () => world.now,
    sleep: async () => undefined,
  };
  t.after(() => standbys.close());
  const standbys = new Standbys(tempDir(t), 'b', clock);
  standbys.keep(offer, 'ab'.repeat(32));
  const watch = new SourceWatch({
    clock,
    log: silentLog,
    standbys,
    peers: {
      address: (name) => {
        if (world.members === 'damaged')
          throw godwitError('GODWIT_LIST_DAMAGED', { file: 'fleet.json', why: 'no JSON' });
        return world.members[name];
      },
      furtherAddresses: () => [],
    },
    lookAtKernel: async () => {
      world.asked += 1;
      return world.kernel;
    },
  });
  const pass = async (ms: number): Promise<void> => {
    world.now += ms;
    await watch.look();
  };
  const isKept = (): boolean => standbys.list().length === 1;
  return { world, watch, standbys, pass, isKept };
}

test('the kernel of a source is asked only once its heartbeat is overdue', async (t) => {
  const { world, watch, pass } = scene(t);
  watch.heard('a');
  await pass(5000);
  assert.equal(world.asked, 0);
  world.kernel = 'silent';
  await pass(10_000);
  await pass(5000);
  assert.deepEqual([world.asked, watch.sight('a').answersSinceMs], [2, undefined]);
  watch.heard('a');
  assert.equal(watch.sight('a').answersSinceMs, 20_000);
});

test('a description of a host that is dead never expires', async (t) => {
  const { world, pass, isKept } = scene(t);
  world.kernel = 'silent';
  for (let days = 0; days < 30; days += 1) await pass(DAY_MS);
  world.kernel = 'unknown';
  await pass(DAY_MS);
  // It has just come back, and had no time to confirm.
  world.kernel = 'answers';
  await pass(5000);
  assert.equal(isKept(), true);
});

test('a description that a living host does not confirm for seven days expires', async (t) => {
  const { pass, isKept } = scene(t);
  await pass(5000);
  await pass(6 * DAY_MS);
  assert.equal(isKept(), true);
  await pass(DAY_MS);
  assert.equal(isKept(), false);
});

test('a description expires once its host has left the fleet, and not while the list cannot be read', async (t) => {
  const { world, pass, isKept } = scene(t);
  world.kernel = 'silent';
  world.members = 'damaged';
  await pass(5000);
  await pass(DAY_MS);
  assert.equal(isKept(), true);
  world.members = {};
  await pass(5000);
  world.members = { a: 'a:7000' };
  await pass(DAY_MS);
  world.members = {};
  await pass(5000);
  assert.equal(isKept(), true);
  await pass(600_000);
  assert.equal(isKept(), false);
});
