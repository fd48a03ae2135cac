import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  recoveryHandlers,
  type RecoveryHandlerDependencies,
} from '../../../src/agent/recovery/handlers.ts';
import { Standbys } from '../../../src/agent/recovery/standbys.ts';
import { GodwitError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { standbyOffer } from '../../../src/protocol/peer/standby.ts';
import { recoveryRequest } from '../../../src/protocol/public/recovery.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const DIGEST = '1'.repeat(64);
const STARTED = new Error('it is started');

/** Host b keeps web1 of host a. What is started ends with `STARTED`. */
function scene(t: TestContext) {
  const world = { now: 0, started: undefined as unknown };
  const clock = { monotonicMs: () => world.now, wallMs: () => world.now };
  const now = () => ({ bootId: 'boot-1', uptimeMs: world.now });
  t.after(() => standbys.close());
  const dir = tempDir(t);
  const standbys = new Standbys(dir, 'b', clock, { now, sleep: async () => undefined });
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
        uuid: '11111111-2222-4333-8444-555555555555',
        disks: [
          { name: 'vda', images: [{ node: 'top', format: 'qcow2', bytes: 1, readOnly: false }] },
        ],
        spec: {},
      },
      places: [{ node: 'top', pool: '0'.repeat(16), path: 'vms/web1.qcow2' }],
      stream: { mode: 'precopy', streams: 1, compress: 'none', tls: true },
    },
    digest: DIGEST,
  });
  standbys.keep(offer, 'ab'.repeat(32));
  const deps = {
    config: { name: 'b' },
    clock,
    log: silentLog,
    store: { get: () => undefined },
    orders: { under: (_order: unknown, _id: string, work: () => Promise<void>) => work() },
    incoming: {
      recover: (_admission: unknown, recovery: unknown) => {
        world.started = recovery;
        return Promise.reject(STARTED);
      },
    },
    answers: { placeKey: () => 'ab'.repeat(32) },
    recovery: { standbys, sourceWatch: { heard: () => undefined } },
  };
  const handlers = recoveryHandlers(deps as unknown as RecoveryHandlerDependencies);
  const recover = async (insist?: string, off: string[] = []): Promise<unknown> => {
    const body = recoveryRequest.parse({ guest: 'web1', from: 'a', off, insist });
    const input = { params: { id: 'm-00000001' }, query: {}, body, caller: { name: 'op' } };
    const put = handlers.putRecovery as (asked: object) => Promise<unknown>;
    return put(input).catch((thrown: unknown) => thrown);
  };
  const listed = () => {
    const list = handlers.standbys as unknown as () => {
      standbys: { number: string; stale?: string; disks: string }[];
    };
    return list().standbys[0];
  };
  const { signal } = new AbortController();
  const keep = (from: string) => {
    const body = { ...offer, admission: { ...offer.admission, from } };
    const put = handlers.keepStandby as (asked: object) => unknown;
    return put({ body, caller: { role: 'agent', name: from } });
  };
  const beat = (from: string, digest = DIGEST): Promise<unknown> => {
    const body = { guests: [{ guest: 'web1', digest }], withdrawn: [] };
    const put = handlers.confirmStandbys as (asked: object) => Promise<unknown>;
    return put({ body, caller: { role: 'agent', name: from }, signal });
  };
  return { world, dir, offer, standbys, recover, listed, keep, beat };
}

test('a guest is started from a recently confirmed description, and its mover judges the proof by that time', async (t) => {
  const { world, recover, listed } = scene(t);
  world.now = 120_000;
  assert.equal(await recover(), STARTED);
  assert.equal(listed()?.stale, undefined);
  const { confirmed } = world.started as { confirmed: object };
  assert.deepEqual(confirmed, {
    at: { bootId: 'boot-1', uptimeMs: 0 },
    number: listed()?.number,
    disks: listed()?.disks,
    images: [],
  });
});

test('a description that may be out of date starts nothing, and its age and disks are shown', async (t) => {
  const { world, recover, listed } = scene(t);
  world.now = 7_200_000;
  const refused = await recover();
  assert.ok(refused instanceof GodwitError && refused.code === 'GODWIT_STANDBY_STALE');
  assert.match(
    refused.message,
    /lived for 7200 s .*silence is not death.*Last confirmation: 2(\.0)? ?h.* ago.*vda: vms\/web1\.qcow2/,
  );
  const { number = '', stale = '', disks } = listed() ?? {};
  assert.match(refused.hint, new RegExp(`--insist web1=${number}`));
  assert.match(stale, /may have lived/);
  assert.equal(disks, 'vda: vms/web1.qcow2 (qcow2)');
});

test('an operator who names the description starts it, and the name of another description does not', async (t) => {
  const { world, standbys, recover, listed } = scene(t);
  world.now = 7_200_000;
  const { number = '' } = listed() ?? {};
  assert.equal(await recover(number), STARTED);
  assert.equal((world.started as { confirmed?: object }).confirmed, undefined);
  // A report that came after the operator looked changes what was shown.
  standbys.confirm('a', { guests: [{ guest: 'web1', digest: '2'.repeat(64) }], withdrawn: [] });
  const refused = await recover(number);
  assert.ok(refused instanceof GodwitError && refused.code === 'GODWIT_STANDBY_STALE');
  assert.match(refused.message, /have changed since/);
  assert.equal(await recover(listed()?.number), STARTED);
});

test("a host that described another host's guest does not block its recovery, unless it is to be proved off as well", async (t) => {
  const { world, offer, standbys, recover, listed } = scene(t);
  const beat = (from: string) =>
    standbys.confirm(from, { guests: [{ guest: 'web1', digest: DIGEST }], withdrawn: [] });
  world.now = 3_600_000;
  beat('a');
  assert.equal(await recover(), STARTED);
  assert.equal((world.started as { keptAt: string }).keptAt, '1970-01-01T01:00:00.000Z');
  world.now += 60_000;
  const admission = { ...offer.admission, from: 'm' };
  standbys.keep({ ...offer, admission }, 'ab'.repeat(32));
  beat('m');
  assert.equal(listed()?.stale, undefined);
  assert.equal(await recover(), STARTED);
  // Host m is asked for migrations of the guest in the minute before, too: its clock may be behind.
  assert.equal((world.started as { keptAt: string }).keptAt, '1970-01-01T00:59:00.000Z');
  const refused = await recover(undefined, ['m']);
  assert.ok(refused instanceof GodwitError && refused.code === 'GODWIT_STANDBY_STALE');
  assert.match(refused.message, /m reported later that it had the guest, and cannot be asked/);
});

test('a report of an outdated description is answered once it is on the disk', async (t) => {
  const { dir, beat } = scene(t);
  assert.deepEqual(await beat('a', '2'.repeat(64)), { unknown: ['web1'] });
  const written = readFileSync(path.join(dir, 'standbys', 'a', 'confirmed'), 'utf8');
  assert.match(written, new RegExp(`"digest":"${'2'.repeat(64)}"`));
});

test('a host that sends heartbeats or descriptions too often is refused, and no other host', async (t) => {
  const { world, standbys, beat, keep } = scene(t);
  // Without a write of each to the disk.
  standbys.keep = () => undefined;
  for (let index = 0; index < 32; index += 1) await beat('m');
  await assert.rejects(beat('m'), { code: 'GODWIT_OVERLOADED' });
  await beat('a');
  world.now += 1000;
  await beat('m');
  for (let index = 0; index < 128; index += 1) keep('m');
  assert.throws(() => keep('m'), { code: 'GODWIT_OVERLOADED' });
  keep('a');
});
