import { godwitError } from '../../errors.ts';
import type { MaintenanceSight } from '../../protocol/public/hosts/managed-host.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import type { HostMaintenance } from '../../port/managed.ts';
import { isFault, VsphereClient, VsphereFault } from './client.ts';
import { denied, wordsOf } from './faults.ts';
import { wordIn, type InventoryLists } from './inventory.ts';
import { ENTERING, LEAVING, sightOfHost } from './maintenance-sight.ts';
import type { VsphereOptions } from './options.ts';
import { refIn, text, type Ref } from './soap.ts';
import { isUnderWay, TASK_PROPERTIES, taskIn, type Task } from './task.ts';

/** No limit for vSphere's task, s: the caller decides when to cancel. */
const NO_TIMEOUT = 0;
const MAX_TASKS = 32;

/**
 * Maintenance mode of a vCenter's hosts: `EnterMaintenanceMode_Task`, which runs until the host has no running
 * guests.
 */
export class VsphereMaintenance implements HostMaintenance {
  readonly #options: VsphereOptions;
  readonly #lists: (signal: AbortSignal) => Promise<InventoryLists>;
  #client: Promise<VsphereClient> | undefined;

  constructor(options: VsphereOptions, lists: (signal: AbortSignal) => Promise<InventoryLists>) {
    this.#options = options;
    this.#lists = lists;
  }

  async enter(
    name: string,
    { stopped }: { readonly stopped: boolean },
    signal: AbortSignal,
  ): Promise<MaintenanceSight> {
    return this.#reported(name, 'EnterMaintenanceMode_Task', async () => {
      const host = await this.#host(name, signal);
      const { sight } = await this.#seen(host, signal);
      if (sight.state === 'entering' || sight.state === 'in') return sight;
      const client = await this.#open(signal);
      const parts = [text('timeout', NO_TIMEOUT), text('evacuatePoweredOffVms', stopped)];
      await client.callForRef('EnterMaintenanceMode_Task', host, parts, signal);
      return { state: 'entering' };
    });
  }

  async look(name: string, signal: AbortSignal): Promise<MaintenanceSight> {
    return this.#reported(name, 'HostSystem.runtime', async () => {
      return (await this.#seen(await this.#host(name, signal), signal)).sight;
    });
  }

  async leave(name: string, signal: AbortSignal): Promise<MaintenanceSight> {
    return this.#reported(name, 'ExitMaintenanceMode_Task', async () => {
      const host = await this.#host(name, signal);
      const { sight, tasks } = await this.#seen(host, signal);
      const client = await this.#open(signal);
      if (sight.state === 'entering') {
        const open = tasks.filter((task) => task.kind === ENTERING && isUnderWay(task));
        for (const { ref } of open) await this.#cancel(client, ref, signal);
        return (await this.#seen(host, signal)).sight;
      }
      if (sight.state !== 'in') return sight;
      await client.callForRef(
        'ExitMaintenanceMode_Task',
        host,
        [text('timeout', NO_TIMEOUT)],
        signal,
      );
      return { state: 'leaving' };
    });
  }

  async close(): Promise<void> {
    const opened = this.#client;
    this.#client = undefined;
    const client = await opened?.catch(() => undefined);
    await client?.close();
  }

  async #cancel(client: VsphereClient, task: Ref, signal: AbortSignal): Promise<void> {
    try {
      await client.call('CancelTask', task, [], signal);
    } catch (thrown) {
      // It has ended meanwhile: the next look shows the result.
      if (!isFault(thrown, 'InvalidState', 'NotSupported', 'ManagedObjectNotFound')) throw thrown;
    }
  }

  async #seen(
    host: Ref,
    signal: AbortSignal,
  ): Promise<{ readonly sight: MaintenanceSight; readonly tasks: readonly Task[] }> {
    const client = await this.#open(signal);
    const properties = ['runtime.inMaintenanceMode', 'recentTask'];
    const [seen] = await client.retrieve([{ ref: host, properties }], signal);
    if (seen === undefined) throw client.unreachable('it does not show the host any more');
    const refs = (seen.properties.get('recentTask')?.children ?? [])
      .flatMap((each) => refIn(each) ?? [])
      .slice(-MAX_TASKS);
    const wanted = refs.map((ref) => ({ ref, properties: TASK_PROPERTIES }));
    const tasks = (await client.retrieve(wanted, signal))
      .flatMap((each) => taskIn(each) ?? [])
      .filter(({ kind }) => kind === ENTERING || kind === LEAVING);
    const isIn = wordIn(seen.properties, 'runtime.inMaintenanceMode') === 'true';
    return { sight: sightOfHost(isIn, tasks), tasks };
  }

  async #host(name: string, signal: AbortSignal): Promise<Ref> {
    const names = (await this.#lists(signal)).hostNames();
    for (const [value, each] of names) if (each === name) return { type: 'HostSystem', value };
    const near = didYouMean(name, [...names.values()]);
    throw godwitError(
      'GODWIT_HOST_UNKNOWN',
      { host: name },
      near === undefined ? {} : { hint: near },
    );
  }

  /** One session for all hosts; replaced if it could not be opened. */
  async #open(signal: AbortSignal): Promise<VsphereClient> {
    this.#client ??= VsphereClient.open(this.#options, signal);
    const opening = this.#client;
    try {
      return await opening;
    } catch (thrown) {
      if (this.#client === opening) this.#client = undefined;
      throw thrown;
    }
  }

  async #reported<T>(host: string, command: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      if (!(thrown instanceof VsphereFault)) throw thrown;
      if (thrown.fault.type === 'NoPermission') throw denied(thrown.fault);
      const reason = wordsOf(thrown.fault);
      const facts = { hypervisor: 'vSphere', host, command, reason };
      const hint = 'The message is vSphere’s own; the task is in the list of its vCenter.';
      throw godwitError('GODWIT_HYPERVISOR', facts, { hint, cause: thrown });
    }
  }
}
