import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import {
  KeepStandbys,
  type KeepStandbysDependencies,
} from '../../../src/agent/recovery/keep-standbys.ts';
import { OfferedStandbys } from '../../../src/agent/recovery/offered.ts';
import type { DiscoveredGuest } from '../../../src/port/inventory.ts';
import { godwitError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { ABSENT_MS } from '../../../src/migration/standby/offers.ts';
import type { ImageStamp } from '../../../src/migration/standby/image-stamps.ts';
import type { StandbyHeartbeat } from '../../../src/protocol/peer/standby.ts';
import { until } from '../../until.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const ONE = '1'.repeat(64);
const TWO = '2'.repeat(64);
const never = new AbortController().signal;

function guestNamed(name: string, recover: boolean): DiscoveredGuest {
  return {
    info: {
      name,
      host: 'a',
      driver: 'fake',
      state: 'running',
      nics: [],
      devices: [],
      unmovable: [],
      labels: { 'godwit/recover': String(recover) },
    },
    handle: { driver: 'fake', name },
  };
}

/** Host a, a guest of it, and a host b that answers `unknown` about it. */
function scene(t: TestContext) {
  const world = {
    now: 0,
    digest: ONE as string | undefined,
    digestAfter: undefined as string | undefined,
    images: [] as ImageStamp[],
    phase: undefined as string | undefined,
    guests: [guestNamed('web1', true)],
    silent: [] as { driver: string; error: Error; asOfMs: undefined }[],
    members: ['b'],
    unknown: [] as string[],
    answer: 'answers' as 'answers' | 'silent' | 'old build',
    checked: undefined as Promise<void> | undefined,
    /** A host that answers no check. */
    hung: undefined as string | undefined,
  };
  const beats: StandbyHeartbeat[] = [];
  const described: (string | undefined)[] = [];
  const stateDir = tempDir(t);
  const offered = () => new OfferedStandbys(stateDir, silentLog);
  const records = offered();
  const driver = {
    name: 'fake',
    layout: async () => {
      if (world.digest === undefined) throw new Error('its monitor is taken');
      return { digest: world.digest, images: world.images };
    },
  };
  const clock = {
    monotonicMs: () => world.now,
    wallMs: () => world.now,
    sleep: async () => undefined,
  };
  const api = {
    confirmStandbys: async ({ body }: { body: StandbyHeartbeat }) => {
      if (world.answer === 'silent')
        throw godwitError('GODWIT_UNREACHABLE', { peer: 'b', address: 'b:1', reason: 'it is off' });
      if (world.answer === 'old build')
        throw godwitError('GODWIT_ROUTE_UNKNOWN', { method: 'PUT', path: '/v1/standbys' });
      beats.push(body);
      return { unknown: world.unknown };
    },
  };
  const deps = {
    config: { name: 'a' },
    clock,
    log: silentLog,
    drivers: [driver],
    guests: {
      lastLook: () => ({ found: world.guests, silent: world.silent }),
      shown: async (name: string) => world.guests.find(({ info }) => info.name === name),
    },
    store: {
      all: () =>
        world.phase === undefined
          ? []
          : [{ id: 'm-00000001', request: { side: 'source', request: { guest: 'web1' } } }],
      progress: () => ({ phase: world.phase }),
    },
    checks: {
      standby: async ({ to }: { to: string }, _signal: unknown, digest: string | undefined) => {
        if (world.hung === to) return new Promise<never>(() => {});
        described.push(digest);
        await world.checked;
        world.digest = world.digestAfter ?? world.digest;
        return [];
      },
    },
    peers: {
      address: (name: string) => (world.members.includes(name) ? `${name}:1` : undefined),
      preflight: () => api,
    },
    offered: records,
  };
  const keep = new KeepStandbys(deps as unknown as KeepStandbysDependencies);
  t.after(() => keep.close());
  return { world, keep, beats, described, records, again: offered };
}

test('an unchanged guest is confirmed with each heartbeat, including by the next agent', async (t) => {
  const { keep, beats, described, again } = scene(t);
  await keep.look();
  assert.equal(beats.length, 0);
  await keep.offer('web1', 'b', never);
  await keep.look();
  assert.deepEqual(beats, [{ guests: [{ guest: 'web1', digest: ONE }], withdrawn: [] }]);
  assert.deepEqual(described, [ONE]);
  assert.deepEqual(again().all(), [{ guest: 'web1', to: 'b', digest: ONE, labelled: true }]);
});

test('a change of the block graph or the devices is reported with the next heartbeat, and the guest described again', async (t) => {
  const { world, keep, beats, described } = scene(t);
  await keep.offer('web1', 'b', never);
  world.digest = TWO;
  await keep.look();
  assert.deepEqual(beats.at(-1)?.guests, [{ guest: 'web1', digest: TWO }]);
  await until('the new description', 10_000, async () =>
    described.length === 2 ? true : undefined,
  );
  assert.deepEqual(described, [ONE, TWO]);
  await keep.look();
  assert.equal(described.length, 2);
});

test('a description that the other host lost is sent again', async (t) => {
  const { world, keep, described } = scene(t);
  await keep.offer('web1', 'b', never);
  world.unknown = ['web1'];
  await keep.look();
  world.unknown = [];
  await keep.look();
  await until('the description again', 10_000, async () =>
    described.length === 2 ? true : undefined,
  );
});

test('a guest whose hypervisor does not answer is mentioned, and not confirmed', async (t) => {
  const { world, keep, beats } = scene(t);
  await keep.offer('web1', 'b', never);
  world.digest = undefined;
  await keep.look();
  assert.deepEqual(beats, [{ guests: [{ guest: 'web1' }], withdrawn: [] }]);
});

test('a guest that lost its label is withdrawn until the other host has answered, and then forgotten', async (t) => {
  const { world, keep, beats, records } = scene(t);
  await keep.offer('web1', 'b', never);
  world.guests = [guestNamed('web1', false)];
  world.answer = 'silent';
  await keep.look();
  // The label is back, and the other host was never told: it is told all the same, and asked anew by a controller.
  world.guests = [guestNamed('web1', true)];
  world.answer = 'answers';
  await keep.look();
  assert.deepEqual(beats, [{ guests: [], withdrawn: ['web1'] }]);
  assert.deepEqual(records.all(), []);
});

test('a guest that left is withdrawn after a while, and never because a driver is silent', async (t) => {
  const { world, keep, beats } = scene(t);
  await keep.offer('web1', 'b', never);
  world.guests = [];
  world.silent = [{ driver: 'fake', error: new Error('gone'), asOfMs: undefined }];
  await keep.look();
  world.now += ABSENT_MS;
  await keep.look();
  assert.equal(beats.length, 0);
  world.silent = [];
  await keep.look();
  world.now += ABSENT_MS - 1;
  await keep.look();
  assert.deepEqual(
    beats.map(({ withdrawn }) => withdrawn.length),
    [0, 0],
  );
  world.now += 1;
  await keep.look();
  assert.deepEqual(beats.at(-1)?.withdrawn, ['web1']);
});

test('the offer to a host of an earlier build is forgotten with the guest, and a host that left the fleet gets no message', async (t) => {
  const { world, keep, beats, records } = scene(t);
  await keep.offer('web1', 'b', never);
  world.guests = [guestNamed('web1', false)];
  world.answer = 'old build';
  await keep.look();
  assert.deepEqual(records.all(), []);
  world.guests = [guestNamed('web1', true)];
  world.answer = 'answers';
  await keep.offer('web1', 'b', never);
  world.members = [];
  await keep.look();
  assert.deepEqual([records.all(), beats], [[], []]);
});

test('a guest that may run elsewhere is not confirmed, however its hypervisor looks here', async (t) => {
  const { world, keep, beats } = scene(t);
  await keep.offer('web1', 'b', never);
  for (const phase of ['memory', 'switchover', 'held']) {
    world.phase = phase;
    await keep.look();
    assert.deepEqual(beats.at(-1)?.guests, [{ guest: 'web1' }], phase);
  }
  world.phase = 'failed';
  await keep.look();
  assert.deepEqual(beats.at(-1)?.guests, [{ guest: 'web1', digest: ONE }]);
});

test('a heartbeat has the stamps of images that the guest only reads', async (t) => {
  const { world, keep, beats } = scene(t);
  await keep.offer('web1', 'b', never);
  const images = [{ node: 'base', bytes: 4096, writtenNs: '1700000000123456789' }];
  world.images = images;
  await keep.look();
  assert.deepEqual(beats.at(-1)?.guests, [{ guest: 'web1', digest: ONE, images }]);
});

test("a change about to take effect is announced, and the guest's old state is not confirmed", async (t) => {
  const { world, keep, beats } = scene(t);
  await keep.offer('web1', 'b', never);
  await keep.look();
  await keep.announceChange('web1', never);
  assert.deepEqual(beats.at(-1)?.guests, [{ guest: 'web1', digest: '0'.repeat(64) }]);
  await keep.look();
  assert.deepEqual(beats.at(-1)?.guests, [{ guest: 'web1' }]);
  world.digest = TWO;
  await keep.look();
  assert.deepEqual(beats.at(-1)?.guests, [{ guest: 'web1', digest: TWO }]);
  // It did not take effect in the end.
  world.digest = ONE;
  world.now += 120_000;
  await keep.look();
  assert.deepEqual(beats.at(-1)?.guests, [{ guest: 'web1', digest: ONE }]);
});

test('a change waits for a silent host that may consider the description fresh, and no longer', async (t) => {
  const { world, keep } = scene(t);
  await keep.offer('web1', 'b', never);
  await keep.look();
  world.answer = 'silent';
  world.now += 300_000;
  await assert.rejects(keep.announceChange('web1', never), { code: 'GODWIT_UNREACHABLE' });
  // A heartbeat that was sent may have arrived, although no answer came.
  world.now += 120_000;
  await keep.look();
  world.now += 300_000;
  await assert.rejects(keep.announceChange('web1', never), { code: 'GODWIT_UNREACHABLE' });
  world.now += 1;
  await keep.announceChange('web1', never);
  world.answer = 'old build';
  await keep.announceChange('web1', never);
  await keep.announceChange('another', never);
});

test('a guest that changed during its description is described again, even if it changed back', async (t) => {
  const { world, keep, described, records } = scene(t);
  // A backup takes a snapshot meanwhile, and commits it later.
  world.digestAfter = TWO;
  await keep.offer('web1', 'b', never);
  assert.equal(records.all()[0]?.isRefused, true);
  world.digestAfter = undefined;
  world.digest = ONE;
  await keep.look();
  await until('the guest to be described again', 5000, async () =>
    described.length > 1 && records.all()[0]?.isRefused === undefined ? true : undefined,
  );
});

test("a change is announced to a host that received the guest's first description since the last heartbeat", async (t) => {
  const { world, keep, beats } = scene(t);
  world.now = 400_000;
  await keep.offer('web1', 'b', never);
  await keep.announceChange('web1', never);
  assert.deepEqual(beats, [{ guests: [{ guest: 'web1', digest: '0'.repeat(64) }], withdrawn: [] }]);
});

test('a change is announced to a host that may have a description although its answer was lost', async (t) => {
  const { world, keep, beats, records } = scene(t);
  world.now = 400_000;
  world.checked = Promise.reject(new Error('the connection broke'));
  await assert.rejects(keep.offer('web1', 'b', never), /the connection broke/);
  assert.deepEqual(records.all(), []);
  await keep.look();
  await keep.announceChange('web1', never);
  assert.equal(beats.at(-1)?.guests[0]?.digest, '0'.repeat(64));
});

test('a change waits for a description on its way, and is announced after it', async (t) => {
  const { world, keep, beats } = scene(t);
  world.now = 400_000;
  const checked = Promise.withResolvers<void>();
  world.checked = checked.promise;
  const offered = keep.offer('web1', 'b', never);
  const told = keep.announceChange('web1', never);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(beats.length, 0);
  checked.resolve();
  await Promise.all([offered, told]);
  assert.equal(beats[0]?.guests[0]?.digest, '0'.repeat(64));
});

test('a description that is made after a change was announced counts as confirmed only once the change shows', async (t) => {
  const { world, keep, described, records } = scene(t);
  await keep.announceChange('web1', never);
  await keep.offer('web1', 'b', never);
  assert.equal(records.all()[0]?.isRefused, true);
  world.digest = TWO;
  await keep.offer('web1', 'b', never);
  assert.equal(records.all()[0]?.isRefused, undefined);
  assert.deepEqual(described, [undefined, TWO]);
});

test("a host that answers no check does not keep another host from the guest's new description", async (t) => {
  const { world, keep, described, records } = scene(t);
  world.members = ['b', 'evil'];
  world.guests = [guestNamed('web1', true), guestNamed('web2', true)];
  records.put({ guest: 'web1', to: 'evil', digest: TWO, labelled: true });
  records.put({ guest: 'web2', to: 'b', digest: TWO, labelled: true });
  world.hung = 'evil';
  await keep.look();
  await until('the new description at b', 10_000, async () => described.at(0));
  assert.equal(records.of({ guest: 'web1', to: 'evil' })?.digest, TWO);
});
