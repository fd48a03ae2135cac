import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { GuestHandle } from '../../src/port/inventory.ts';
import type { ManagedDriver, ManagedSession } from '../../src/port/managed.ts';
import { guestMeasure } from '../../src/protocol/public/prediction.ts';
import { withDeadline } from '../../src/deadline.ts';
import type { ManagedOrder, TaskSight } from '../../src/migration/managed/task-sight.ts';

const WAIT_MS = 60_000;

/** A place where a managed driver can be tried: a guest that runs, and another host for it. */
export interface ManagedPlace {
  readonly driver: ManagedDriver;
  readonly sourceHost: string;
  readonly order: ManagedOrder;
  /** How many tasks the manager has ever started for the guest, by another way than the driver's. */
  tasks(): number | Promise<number>;
  /** Files at the destination that were made for copies of its disks; absent where the driver copies none. */
  made?(): Promise<readonly string[]>;
  pause(signal: AbortSignal): Promise<void>;
  dispose(): Promise<void>;
}

export interface ManagedConformance {
  readonly name: string;
  make(): Promise<ManagedPlace>;
  /** Promises that this driver does not keep, each with the reason. */
  readonly skip: readonly { readonly reason: string; readonly tests: readonly string[] }[];
}

/** Of drivers whose managers have each disk where both hosts see it, or move it by themselves. */
export const COPIES_NONE = {
  reason: 'this driver makes nothing at the destination for copies of disks',
  tests: [
    'removes what it has made for copies, once and again',
    'keeps what it has made for copies where the guest has come',
  ],
} as const;

interface Trial {
  readonly place: ManagedPlace;
  readonly handle: GuestHandle;
  readonly session: ManagedSession;
  readonly signal: AbortSignal;
}

/** The promises of the managed port, tried on one driver. */
export function runManagedConformance(suite: ManagedConformance): void {
  const skipped = new Map(
    suite.skip.flatMap(({ reason, tests }) => tests.map((name) => [name, reason] as const)),
  );
  const promise = (name: string, work: (trial: Trial) => Promise<void>): void => {
    const reason = skipped.get(name);
    test(name, reason === undefined ? {} : { skip: reason }, async () => {
      const place = await suite.make();
      try {
        await withDeadline(name, WAIT_MS, undefined, async (signal) => {
          const handle = await handleIn(place, signal);
          const session = await place.driver.openManaged(handle, signal);
          await work({ place, handle, session, signal });
          await session.close();
        });
      } finally {
        await place.dispose();
      }
    });
  };
  describe(`the ${suite.name} managed driver`, () => {
    promise('declares that a manager moves the memory', async ({ place }) => {
      assert.equal(place.driver.capabilities.shape, 'managed');
    });
    promise('makes a handle that survives a journal, and is alive', async ({ place, handle }) => {
      const again = JSON.parse(JSON.stringify(handle)) as GuestHandle;
      assert.equal(place.driver.isSame(handle, again), true);
      assert.equal(place.driver.isSame(handle, { driver: 'other', name: handle.name }), false);
      assert.equal((await place.driver.life(again)).state, 'alive');
    });
    promise('inspects and checks without starting anything', async ({ place, session, signal }) => {
      const { memoryBytes, checks } = await session.inspect(signal);
      assert.ok(memoryBytes > 0);
      const found = [...checks, ...(await session.check(place.order, signal))];
      assert.deepEqual(
        found.filter(({ verdict }) => verdict === 'refuse'),
        [],
      );
      assert.equal(await place.tasks(), 0);
      assert.deepEqual(await session.look(place.order, signal), { state: 'none' });
    });
    promise(
      'measures what the guest writes where it declares that, and starts nothing',
      async (trial) => {
        const { place, session, signal } = trial;
        const { measures = false, noMeasures } = place.driver.capabilities;
        assert.equal(session.measure !== undefined, measures);
        if (session.measure === undefined) return assert.ok(noMeasures !== undefined);
        const { curve, memoryBytes } = guestMeasure.parse(await session.measure(signal));
        const { memoryBytes: inspected } = await session.inspect(signal);
        assert.equal(memoryBytes, inspected);
        assert.ok(curve.length > 0 && curve.every(({ dirtyBytes }) => dirtyBytes <= memoryBytes));
        assert.equal(await place.tasks(), 0);
      },
    );
    promise('moves a guest by one task', async ({ place, session, signal }) => {
      await session.start(place.order, signal);
      const task = await ended({ place, session, signal });
      assert.equal(task.state, 'done');
      const reported = Object.keys(('figures' in task ? task.figures : undefined) ?? {});
      const { figures } = place.driver.capabilities;
      assert.deepEqual(
        reported.filter((name) => !figures.some((each) => each === name)),
        [],
      );
      assert.equal((await session.where(place.order, signal)).at, 'destination');
      await session.finish(place.order, signal);
      await session.finish(place.order, signal);
      assert.equal(await place.tasks(), 1);
    });
    promise('starts one task, however often it is asked to', async ({ place, session, signal }) => {
      await session.start(place.order, signal);
      await Promise.all([session.start(place.order, signal), session.start(place.order, signal)]);
      await ended({ place, session, signal });
      await session.start(place.order, signal);
      assert.equal(await place.tasks(), 1);
    });
    promise('finds the task again in a new session', async ({ place, session, handle, signal }) => {
      await session.start(place.order, signal);
      await session.close();
      const next = await place.driver.openManaged(handle, signal);
      assert.notEqual((await next.look(place.order, signal)).state, 'none');
      await ended({ place, session: next, signal });
      await next.close();
    });
    promise(
      'refuses a second task by name, and starts none',
      async ({ place, session, signal }) => {
        await session.start(place.order, signal);
        const other = { ...place.order, id: 'm-other0001' };
        await assert.rejects(session.start(other, signal), { code: 'GODWIT_HYPERVISOR' });
        assert.equal(await place.tasks(), 1);
        await ended({ place, session, signal });
      },
    );
    promise('removes what it has made for copies, once and again', prepares);
    promise('keeps what it has made for copies where the guest has come', keeps);
    promise('ends a task that is cancelled, the guest where it was', cancels);
    promise('changes nothing of a task that is not there', async ({ place, session, signal }) => {
      if (session.steer === undefined) return;
      await session.steer(place.order, { maxDowntimeMs: 100 }, signal);
      await session.steer(place.order, { postcopy: true }, signal);
      assert.deepEqual(await session.look(place.order, signal), { state: 'none' });
      assert.equal((await session.where(place.order, signal)).at, 'source');
    });
    promise('leaves a guest alone whose task it is not', async ({ place, session, signal }) => {
      await session.cancel({ ...place.order, id: 'm-nobody001' }, signal);
      assert.equal((await session.where(place.order, signal)).at, 'source');
    });
  });
}

/** The order with the disks that go along as copies. */
async function copying({ place, session, signal }: Trial): Promise<ManagedOrder> {
  const copies = await session.copies?.(place.order, signal);
  assert.ok(copies !== undefined && copies.length > 0, 'it has disks to copy');
  assert.deepEqual(await place.made?.(), [], 'nothing is made before');
  return { ...place.order, copies };
}

async function prepares(trial: Trial): Promise<void> {
  const { place, session, signal } = trial;
  const order = await copying(trial);
  await session.prepare?.(order, signal);
  await session.prepare?.(order, signal);
  const files = order.copies?.map(({ file }) => file);
  assert.deepEqual(await place.made?.(), files);
  await session.unprepare?.(order, false, signal);
  assert.deepEqual(await place.made?.(), []);
  await session.unprepare?.(order, false, signal);
}

async function keeps(trial: Trial): Promise<void> {
  const { place, session, signal } = trial;
  const order = await copying(trial);
  await session.prepare?.(order, signal);
  await session.start(order, signal);
  assert.equal((await ended({ place: { ...place, order }, session, signal })).state, 'done');
  await assert.rejects(session.unprepare?.(order, true, signal) ?? Promise.resolve());
  assert.equal((await place.made?.())?.length, order.copies?.length);
  await session.finish(order, signal);
}

async function cancels({ place, session, signal }: Trial): Promise<void> {
  await session.start(place.order, signal);
  await session.cancel(place.order, signal);
  const { state } = await ended({ place, session, signal });
  assert.ok(state === 'cancelled' || state === 'failed', state);
  assert.equal((await session.where(place.order, signal)).at, 'source');
  await session.cancel(place.order, signal);
}

async function handleIn(place: ManagedPlace, signal: AbortSignal): Promise<GuestHandle> {
  const options = { host: place.sourceHost, busy: new Set<string>(), configured: [] };
  const found = await place.driver.discover(options, signal);
  const handle = found.find(({ info }) => info.name === place.order.guest)?.handle;
  assert.ok(handle, `${place.order.guest} is found`);
  return handle;
}

async function ended({ place, session, signal }: Omit<Trial, 'handle'>): Promise<TaskSight> {
  for (;;) {
    const sight = await session.look(place.order, signal);
    if (sight.state !== 'running' && sight.state !== 'none') return sight;
    await place.pause(signal);
  }
}
