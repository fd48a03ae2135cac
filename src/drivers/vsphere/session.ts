import type { ManagedOrder, TaskSight, Whereabouts } from '../../migration/managed/task-sight.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { ManagedInspection, ManagedSession } from '../../port/managed.ts';
import { managerState } from '../../port/manager-checks.ts';
import { isFault, VsphereClient, VsphereFault } from './client.ts';
import { checkMove, deviceChecks } from './check.ts';
import { boundDevices, VsphereGuest } from './guest.ts';
import type { VsphereHandle } from './handle.ts';
import type { Mark } from './mark.ts';
import type { VsphereOptions } from './options.ts';
import { OtherVcenters } from './other-vcenters.ts';
import { giveOrder } from './order.ts';
import type { Ref } from './soap.ts';
import { TaskFollower } from './task-follower.ts';
import { isOrderFor, isUnderWay, orderedSince, sightOf, type Task } from './task.ts';

/** Time in which the vCenter answers or drops an abandoned call, ms. */
const SETTLES_MS = 60_000;
/** Time to destroy a collector; after that it ends with its session, ms. */
const CLOSE_MS = 2000;
/** Time for one answer, ms, in addition to a wait for a change. */
const CALL_MS = 20_000;
/** Longest wait of the vCenter for a change, s. */
const CHANGE_S = 10;

/** One guest through its vCenter, which moves it between its hosts and continues if Godwit's connection ends. */
export class VsphereSession implements ManagedSession {
  readonly settlesMs = SETTLES_MS;
  readonly #guest: VsphereGuest;
  readonly #name: string;
  #ordering: Promise<unknown> = Promise.resolve();
  #following: { readonly id: string; readonly follower: TaskFollower } | undefined;

  private constructor(guest: VsphereGuest, name: string) {
    this.#guest = guest;
    this.#name = name;
  }

  static async open(
    options: VsphereOptions,
    handle: VsphereHandle,
    signal: AbortSignal,
  ): Promise<VsphereSession> {
    const client = await VsphereClient.open(options, signal, CALL_MS);
    const others = new OtherVcenters(options.others, CALL_MS);
    return new VsphereSession(new VsphereGuest(client, options, handle, others), handle.name);
  }

  inspect(signal: AbortSignal): Promise<ManagedInspection> {
    const name = this.#name;
    return this.#guest.reported('RetrievePropertiesEx', async () => {
      const { state } = await this.#guest.needed(name, signal);
      const { memoryBytes, devices } = await boundDevices(this.#guest, signal);
      const checks = [
        managerState(name, state, state === 'running'),
        ...deviceChecks(name, devices),
      ];
      return { memoryBytes, checks };
    });
  }

  check(order: ManagedOrder, signal: AbortSignal): Promise<Check[]> {
    const guest = this.#guest;
    return guest.reported('CheckRelocate_Task', () => checkMove(guest, order, signal));
  }

  /** One order at a time, so that the next one sees the mark. */
  async start(order: ManagedOrder, signal: AbortSignal): Promise<void> {
    const mine = this.#ordering
      .catch(() => undefined)
      .then(() =>
        this.#guest.reported('RelocateVM_Task', () => giveOrder(this.#guest, order, signal)),
      );
    this.#ordering = mine;
    await mine;
  }

  look({ id }: ManagedOrder, signal: AbortSignal): Promise<TaskSight> {
    return this.#guest.reported('Task.info', async () => {
      const followed = await this.#next(id, 0, signal);
      if (followed !== undefined) return sightOf(followed);
      const found = await this.#task(id, signal);
      await this.#unfollow();
      if (found === 'left') return { state: 'done' };
      if (found === undefined) return { state: 'none' };
      if (isUnderWay(found)) {
        const follower = await TaskFollower.open(this.#guest.client, found.ref, signal);
        this.#following = { id, follower };
      }
      return sightOf(found);
    });
  }

  async changed({ id }: ManagedOrder, signal: AbortSignal): Promise<'news' | undefined> {
    return (await this.#next(id, CHANGE_S, signal)) === undefined ? undefined : 'news';
  }

  /** Followed task; undefined if there is none any more, because the vCenter's objects end with a session. */
  async #next(id: string, waitSeconds: number, signal: AbortSignal): Promise<Task | undefined> {
    const following = this.#following;
    if (following?.id !== id) return undefined;
    try {
      return await following.follower.next(waitSeconds, signal);
    } catch (thrown) {
      await this.#unfollow();
      if (thrown instanceof VsphereFault) return undefined;
      throw thrown;
    }
  }

  /** Otherwise the vCenter would keep an unread collector. */
  async #unfollow(): Promise<void> {
    const following = this.#following;
    this.#following = undefined;
    await following?.follower.close(AbortSignal.timeout(CLOSE_MS));
  }

  /**
   * Task of a migration, from its mark or as the guest's first move since the mark. `left`: the guest is at
   * another vCenter and its mark went with it or is lost.
   */
  async #task(id: string, signal: AbortSignal): Promise<Task | 'left' | undefined> {
    const guest = this.#guest;
    const sight = await guest.sight(signal);
    if (sight === undefined) {
      if ((await guest.elsewhere(signal)) !== undefined) return 'left';
      throw guest.client.unreachable('it does not show the guest');
    }
    const mark = await guest.mark(sight, id, signal);
    if (mark === undefined) return undefined;
    if (mark.task !== undefined) {
      const [named] = await guest.tasks([taskRef(mark.task)], signal);
      return named !== undefined && isOrderFor(guest.ref, named) ? named : undefined;
    }
    const tasks = await guest.tasks(sight.tasks, signal);
    const found = orderedSince(tasks, Date.parse(mark.since));
    if (found !== undefined) await this.#remember(mark, found, signal);
    return found;
  }

  async #remember(mark: Mark, { ref: { value } }: Task, signal: AbortSignal): Promise<void> {
    await this.#guest.setMark({ ...mark, task: value }, signal).catch(() => undefined);
  }

  where(order: ManagedOrder, signal: AbortSignal): Promise<Whereabouts> {
    return this.#guest.reported('runtime.host', () => this.#guest.where(order, signal));
  }

  cancel({ id }: ManagedOrder, signal: AbortSignal): Promise<void> {
    return this.#guest.reported('CancelTask', async () => {
      const task = await this.#task(id, signal);
      if (task === undefined || task === 'left' || !isUnderWay(task)) return;
      try {
        await this.#guest.client.call('CancelTask', task.ref, [], signal);
      } catch (thrown) {
        // It has ended or can no longer be cancelled: the next look reports it.
        if (!isFault(thrown, 'InvalidState', 'NotSupported', 'ManagedObjectNotFound')) throw thrown;
      }
    });
  }

  finish({ id }: ManagedOrder, signal: AbortSignal): Promise<void> {
    return this.#guest.reported('SetField', async () => {
      const sight = await this.#guest.sight(signal);
      // Documentation does not say whether a mark moves to another vCenter.
      const guest = sight === undefined ? await this.#guest.elsewhere(signal) : this.#guest;
      const seen = sight ?? (await guest?.sight(signal));
      if (guest === undefined || seen === undefined) return;
      if ((await guest.mark(seen, id, signal)) === undefined) return;
      await guest.setMark(undefined, signal);
    });
  }

  async close(): Promise<void> {
    await this.#unfollow();
    await Promise.all([this.#guest.client.close(), this.#guest.others?.close()]);
  }
}

function taskRef(value: string): Ref {
  return { type: 'Task', value };
}
