import { godwitError, toGodwitError } from '../../errors.ts';
import type { GodwitError } from '../../errors.ts';
import type { ManagedOrder, TaskSight, Whereabouts } from '../../migration/managed/task-sight.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { ManagedInspection, ManagedSession } from '../port/managed.ts';
import { startMove } from './start-move.ts';
import { isFault, VsphereClient, VsphereFault } from './client.ts';
import { evcCheck } from './evc-check.ts';
import { encryptionCheck, ENCRYPTS } from './encryption.ts';
import { elsewhereCheck } from './elsewhere.ts';
import { checkOf } from './faults.ts';
import { featuresAround } from './features.ts';
import { boundDevices, VsphereGuest } from './guest.ts';
import type { GuestSight } from './guest.ts';
import type { VsphereHandle } from './handle.ts';
import { wordIn } from './inventory.ts';
import type { Mark } from './mark.ts';
import type { VsphereOptions } from './options.ts';
import { giveOrder, targetOf } from './order.ts';
import type { Target } from './order.ts';
import type { Ref } from './soap.ts';
import { requirementCheck } from './requirements.ts';
import { TaskFollower } from './task-follower.ts';
import { isOrderFor, isUnderWay, orderedSince, sightOf } from './task.ts';
import type { Task } from './task.ts';

/** A call that was given up is answered or dropped by the vCenter within that, ms. */
const SETTLES_MS = 60_000;
/** A collector that cannot be ended within that ends with its session, ms. */
const CLOSE_MS = 2000;
/** One answer may take so long, ms; the wait for a change comes on top. */
const CALL_MS = 20_000;
/** The vCenter waits so long for a change of a task, s. */
const CHANGE_S = 10;

/** One guest, through its vCenter, which moves it between its hosts and goes on where Godwit's connection ends. */
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
    return new VsphereSession(new VsphereGuest(client, options, handle), handle.name);
  }

  inspect(signal: AbortSignal): Promise<ManagedInspection> {
    const name = this.#name;
    return this.#guest.reported('RetrievePropertiesEx', async () => {
      const { state } = await this.#guest.needed(name, signal);
      const { memoryBytes, devices } = await boundDevices(this.#guest, signal);
      const checks = [stateCheck(name, state), ...deviceChecks(name, devices)];
      return { memoryBytes, checks };
    });
  }

  async check(order: ManagedOrder, signal: AbortSignal): Promise<Check[]> {
    const guest = this.#guest;
    const { guest: name, to } = order;
    return guest.reported('CheckRelocate_Task', async () => {
      const sight = await guest.needed(name, signal);
      let target: Target;
      try {
        target = await targetOf(guest, sight, order, signal);
      } catch (thrown) {
        const error = toGodwitError(thrown);
        const isPlace = ['GODWIT_HOST_UNKNOWN', 'GODWIT_MANAGER_REFUSES'].includes(error.code);
        if (!isPlace) throw thrown;
        return [refuses('host', 'destination', error)];
      }
      const { product, version } = guest.client.about;
      const found = await startMove(guest, target, signal);
      const concerned = { guest: name, host: to };
      return [
        passes('manager', 'both', `${product}, API ${version}`),
        ...hostChecks(name, to, target),
        await evcCheck(guest.client, target, sight.evcMode, signal),
        requirementCheck({
          needed: sight.needed,
          to: target.host.name,
          hosts: await featuresAround(guest.client, target.host, signal),
        }),
        await this.#encryptionCheck(order, sight, target, signal),
        ...found.errors.map((fault) => checkOf(fault, concerned, 'refuse')),
        ...found.warnings.map((fault) => checkOf(fault, concerned, 'warn')),
        ...(found.errors.length === 0 ? [] : await this.#elsewhere(sight, target, signal)),
      ];
    });
  }

  /** Where vSphere refuses: who else of the destination's cluster would take the guest. */
  async #elsewhere(
    { host: source }: GuestSight,
    { host }: Target,
    signal: AbortSignal,
  ): Promise<Check[]> {
    const { parent: cluster } = host;
    if (cluster?.type !== 'ClusterComputeResource') return [];
    const not = [host.ref, ...(source === undefined ? [] : [source])];
    const found = await elsewhereCheck(
      this.#guest.client,
      { vm: this.#guest.ref, cluster, not },
      signal,
    );
    return found === undefined ? [] : [found];
  }

  /** vSphere encrypts the memory of a guest that requires it, and of others where both hosts can. */
  async #encryptionCheck(
    { guest, to, encrypted = false }: ManagedOrder,
    { host: source, encryption }: GuestSight,
    { host }: Target,
    signal: AbortSignal,
  ): Promise<Check> {
    const hosts = [...(source === undefined ? [] : [source]), host.ref];
    // Whole: not every version has each of them by a name of its own.
    const wanted = hosts.map((ref) => ({ ref, properties: ['capability'] }));
    const seen = await this.#guest.client.retrieve(wanted, signal);
    const can = seen.filter(
      ({ properties }) => wordIn(properties, 'capability', ENCRYPTS) === 'true',
    );
    return encryptionCheck({
      guest,
      to,
      isAsked: encrypted,
      encryption,
      bothCan: can.length === 2,
    });
  }

  /** One order at a time: the mark of one is seen by the next. */
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
      if (found === undefined) return { state: 'none' };
      if (isUnderWay(found)) {
        const follower = await TaskFollower.open(this.#guest.client, found.ref, signal);
        this.#following = { id, follower };
      }
      return sightOf(found);
    });
  }

  async changed({ id }: ManagedOrder, signal: AbortSignal): Promise<boolean> {
    return (await this.#next(id, CHANGE_S, signal)) !== undefined;
  }

  /** The task that is followed; undefined where none is, or none any more: what the vCenter kept for a session ends with it. */
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

  /** The vCenter keeps no collector that nobody reads. */
  async #unfollow(): Promise<void> {
    const following = this.#following;
    this.#following = undefined;
    await following?.follower.close(AbortSignal.timeout(CLOSE_MS));
  }

  /** The task of a migration: by its mark, or the first move of the guest since the mark was made. */
  async #task(id: string, signal: AbortSignal): Promise<Task | undefined> {
    const guest = this.#guest;
    const sight = await guest.sight(signal);
    if (sight === undefined) throw guest.client.unreachable('it does not show the guest');
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
      if (task === undefined || !isUnderWay(task)) return;
      try {
        await this.#guest.client.call('CancelTask', task.ref, [], signal);
      } catch (thrown) {
        // It has ended meanwhile, or cannot be ended any more: the next look reports it.
        if (!isFault(thrown, 'InvalidState', 'NotSupported', 'ManagedObjectNotFound')) throw thrown;
      }
    });
  }

  finish({ id }: ManagedOrder, signal: AbortSignal): Promise<void> {
    return this.#guest.reported('SetField', async () => {
      const sight = await this.#guest.sight(signal);
      if (sight === undefined) return;
      if ((await this.#guest.mark(sight, id, signal)) === undefined) return;
      await this.#guest.setMark(undefined, signal);
    });
  }

  async close(): Promise<void> {
    await this.#unfollow();
    await this.#guest.client.close();
  }
}

function taskRef(value: string): Ref {
  return { type: 'Task', value };
}

function stateCheck(guest: string, state: string): Check {
  if (state === 'running') return passes('state', 'source', `${guest} is running`);
  return refuses('state', 'source', godwitError('GODWIT_GUEST_STATE', { guest, state }));
}

function deviceChecks(guest: string, devices: readonly string[]): Check[] {
  if (devices.length === 0) return [];
  const facts = {
    device: devices.join(', ').slice(0, 256),
    type: 'of the host',
    guest,
    reason: 'no other host has it',
  };
  return [refuses('devices', 'source', godwitError('GODWIT_DEVICE_UNMOVABLE', facts))];
}

function hostChecks(guest: string, to: string, { host }: Target): Check[] {
  const refuse = (reason: string): Check[] => {
    const facts = { manager: 'vSphere', guest, host: to, reason };
    return [refuses('host', 'destination', godwitError('GODWIT_MANAGER_REFUSES', facts))];
  };
  if (host.connection !== 'connected')
    return refuse(`its vCenter says that it is ${host.connection}`);
  if (host.inMaintenance) return refuse('it is in maintenance mode');
  return [passes('host', 'destination', `${host.name} is connected`)];
}

function passes(name: string, side: Check['side'], evidence: string): Check {
  return { name, side, verdict: 'pass', evidence: evidence.slice(0, 4096) };
}

function refuses(name: string, side: Check['side'], error: GodwitError): Check {
  return { name, side, verdict: 'refuse', evidence: error.message, error: error.toJSON() };
}
