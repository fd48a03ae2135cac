import { godwitError, hasCode, toGodwitError, type GodwitError } from '../../errors.ts';
import type { ManagedOrder, TaskSight, Whereabouts } from '../../migration/managed/task-sight.ts';
import { Mutex } from '../../mutex.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { ManagedInspection, ManagedSession } from '../../port/managed.ts';
import { CONVERSION_HINT } from '../conversion-hint.ts';
import type { GuestWhole } from './answers.ts';
import { managerRefusal } from '../../port/manager-checks.ts';
import {
  compareChecks,
  guestChecks,
  hasLocalDisks,
  hostChecks,
  notCompared,
  type Hosts,
} from './check.ts';
import { HypervHost } from './host.ts';
import { explained, meaningOfEvent, returnedWords } from './hresults.ts';
import { isRunning, jobSince, sightOf } from './job.ts';
import { peerOf, type HypervOptions, type Peer } from './options.ts';
import {
  clusterChecks,
  folderChecks,
  isStorageAlone,
  isStoredIn,
  storageChecks,
  windowsFolder,
} from './storage.ts';
import { whereabouts, type Sight } from './whereabouts.ts';
import { WsmanFault } from './wsman/answers.ts';

/** A script gives no order after 45 s; PowerShell may need time to start. */
const SETTLES_MS = 120_000;
const TASK_STARTED = 4096;
const MAX_EVENTS = 8;

/** One virtual machine through its host; the destination host is queried for its side. */
export class HypervSession implements ManagedSession {
  readonly settlesMs = SETTLES_MS;
  readonly #options: HypervOptions;
  readonly #source: HypervHost;
  readonly #machine: string;
  readonly #orders = new Mutex();
  #destination: { readonly to: string; readonly host: HypervHost } | undefined;

  private constructor(options: HypervOptions, source: HypervHost, machine: string) {
    this.#options = options;
    this.#source = source;
    this.#machine = machine;
  }

  /** Makes no connection yet: if the source is silent, the destination can still report that it has the guest. */
  static async open(name: string, options: HypervOptions, machine: string): Promise<HypervSession> {
    return new HypervSession(options, await HypervHost.open(name, options, options), machine);
  }

  async inspect(signal: AbortSignal): Promise<ManagedInspection> {
    const found = await this.#whole(signal);
    return { memoryBytes: found.guest.memory, checks: guestChecks(found.guest.name, found) };
  }

  async #whole(signal: AbortSignal): Promise<GuestWhole> {
    const found = await this.#source.ask('guest', { id: this.#machine }, signal);
    if (found.guest !== null) return found;
    throw godwitError('GODWIT_HYPERVISOR_LOST', {
      side: 'source',
      guest: 'the guest',
      reason: `Hyper-V of ${this.#source.name} does not know it any more`,
    });
  }

  async check(order: ManagedOrder, signal: AbortSignal): Promise<Check[]> {
    const { guest, from, to, datastore } = order;
    const found = await this.#whole(signal);
    const source = await this.#source.ask('host', {}, signal);
    if (isStorageAlone(order)) return storageChecks(order, found, source);
    const { name, storage } = this.#peer(to);
    let destination: Hosts['destination'];
    try {
      destination = await (await this.#there(to)).ask('host', {}, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      return [managerRefusal('manager', 'destination', this.#unreached(to, toGodwitError(thrown)))];
    }
    const hosts: Hosts = {
      guest,
      from,
      to,
      source,
      destination,
      storage: datastore ?? storage,
      isAsked: datastore !== undefined,
    };
    const stored = datastore === undefined ? [] : clusterChecks(order, found);
    const checks = [...folderChecks(order), ...stored, ...hostChecks(hosts, found)];
    // Compare-VM queries the destination itself; earlier refusals would hide its findings.
    if (found.guest.clustered || checks.some(({ verdict }) => verdict === 'refuse')) return checks;
    const about = { id: this.#machine, destination: name, storage: this.#storage(order, found) };
    const compared = await this.#source.reported('Compare-VM', () =>
      this.#source.tried('compare', about, signal),
    );
    if ('error' in compared) return [...checks, notCompared(hosts, compared.error)];
    return [...checks, ...compareChecks(hosts, compared.value.incompatibilities)];
  }

  /** It may not be a Hyper-V host: an unconfigured host is contacted by its own name. */
  #unreached(to: string, error: GodwitError): GodwitError {
    if (error.code !== 'GODWIT_UNREACHABLE') return error;
    const { peer, address, reason } = error.facts as {
      peer: string;
      address: string;
      reason: string;
    };
    const names = Object.keys(this.#options.hosts);
    const near = names.includes(to) ? undefined : didYouMean(to, names);
    const hint = [near, error.hint, CONVERSION_HINT].filter((each) => each !== undefined).join(' ');
    return godwitError('GODWIT_UNREACHABLE', { peer, address, reason }, { hint, cause: error });
  }

  #peer(to: string): Peer {
    return peerOf(this.#options, to);
  }

  /** Folder for its disks: the requested one, or the destination's folder if local disks must move. */
  #storage({ to, datastore }: ManagedOrder, found: GuestWhole): string | null {
    if (datastore !== undefined) return windowsFolder(datastore);
    return hasLocalDisks(found) ? (this.#peer(to).storage ?? null) : null;
  }

  async #there(to: string): Promise<HypervHost> {
    if (to === this.#source.name) return this.#source;
    if (this.#destination?.to === to) return this.#destination.host;
    const host = await HypervHost.open(to, this.#peer(to), this.#options);
    this.#destination?.host.close();
    this.#destination = { to, host };
    return host;
  }

  start(order: ManagedOrder, signal: AbortSignal): Promise<void> {
    return this.#orders.run(() => this.#start(order, signal));
  }

  async #start(order: ManagedOrder, signal: AbortSignal): Promise<void> {
    const { id, to, guest } = order;
    const found = await this.#source.ask('guest', { id: this.#machine }, signal);
    if (found.guest === null) {
      await this.#hasLeft(order, signal);
      return;
    }
    const alone = isStorageAlone(order);
    const { name } = alone ? { name: '' } : this.#peer(to);
    const about = {
      id: this.#machine,
      mark: markBegins(id),
      alone,
      destination: name,
      node: name.split('.').at(0),
      storage: this.#storage(order, found),
      transport: this.#options.transport,
    };
    const answer = await this.#source.tried('start', about, signal).catch((thrown: unknown) => {
      // The script may have given the order before its answer was lost.
      const isUnclear = thrown instanceof WsmanFault || hasCode(thrown, 'GODWIT_HYPERVISOR');
      if (!isUnclear) throw thrown;
      throw godwitError('GODWIT_TASK_FAILED', { guest, reason: thrown.message }, { cause: thrown });
    });
    if ('error' in answer) {
      const { stage, message, hresult } = answer.error;
      const reason = explained(message, hresult);
      if (stage === 'before') throw this.#source.refused('migrate', reason);
      throw godwitError('GODWIT_TASK_FAILED', { guest, reason });
    }
    const { value } = answer;
    if ('absent' in value) {
      await this.#hasLeft(order, signal);
      return;
    }
    if ('refused' in value) throw this.#source.refused('migrate', value.refused);
    if (value.returned === 0 || value.returned === TASK_STARTED) return;
    await this.#source.ask('unmark', about, signal).catch(() => undefined);
    throw this.#source.refused('migrate', returnedWords(value.returned));
  }

  /** It is not at its source: this order moved it, or it was never there. */
  async #hasLeft({ id, to }: ManagedOrder, signal: AbortSignal): Promise<void> {
    const there = await this.#there(to);
    if (markedAt(await there.notes(this.#machine, signal), id) !== undefined) return;
    throw this.#source.refused('migrate', 'it is not on this host');
  }

  async look(order: ManagedOrder, signal: AbortSignal): Promise<TaskSight> {
    const { id, to } = order;
    const [jobs, here] = [
      await this.#source.jobs(this.#machine, signal),
      await this.#source.machine(this.#machine, signal),
    ];
    const holder = here === 'absent' ? await this.#there(to) : this.#source;
    const since = markedAt(await holder.notes(this.#machine, signal), id);
    if (since === undefined) return { state: 'none' };
    const job = jobSince(jobs, since);
    if (job === undefined) return { state: here === 'absent' ? 'done' : 'none' };
    const sight = sightOf(job);
    if (sight.state !== 'failed') return sight;
    return { ...sight, reason: await this.#withEvents(sight.reason, since, signal) };
  }

  /** The host's event log has details that a job lacks. */
  async #withEvents(reason: string, sinceMs: number, signal: AbortSignal): Promise<string> {
    const about = { id: this.#machine, since: new Date(sinceMs).toISOString() };
    try {
      const { events } = await this.#source.ask('events', about, signal);
      const reported = events.slice(0, MAX_EVENTS).map(({ id, message }) => {
        const fix = meaningOfEvent(id, message)?.fix;
        return `Event ${id}: ${message.trim()}${fix === undefined ? '' : ` ${fix}`}`;
      });
      return [reason, ...reported].join('\n').slice(0, 4096);
    } catch {
      signal.throwIfAborted();
      return `${reason}\nIts event log could not be read.`;
    }
  }

  async where(order: ManagedOrder, signal: AbortSignal): Promise<Whereabouts> {
    if (isStorageAlone(order)) return this.#whereStorage(order, signal);
    const { to } = order;
    const there = this.#there(to).then((host) => host.machine(this.#machine, signal));
    const [source, destination, moving] = await Promise.all([
      orSilent(this.#source.machine(this.#machine, signal)),
      orSilent(there),
      this.#source.runningJob(this.#machine, signal).then(
        (job) => job !== undefined,
        () => undefined,
      ),
    ]);
    signal.throwIfAborted();
    return whereabouts(source, destination, moving);
  }

  /** The guest stays on its host, so the place of its disks decides. */
  async #whereStorage({ datastore = '' }: ManagedOrder, signal: AbortSignal): Promise<Whereabouts> {
    // Read before the disks, because a job that ends meanwhile has moved them.
    const busy = (await this.#source.runningJob(this.#machine, signal)) !== undefined;
    const found = await this.#source.ask('guest', { id: this.#machine }, signal);
    if (found.guest === null) return { at: 'unknown' };
    return { at: isStoredIn(datastore, found) ? 'destination' : 'source', busy };
  }

  async cancel({ id }: ManagedOrder, signal: AbortSignal): Promise<void> {
    const since = markedAt(await this.#source.notes(this.#machine, signal), id);
    if (since === undefined) return;
    const job = jobSince(await this.#source.jobs(this.#machine, signal), since);
    if (job === undefined || !isRunning(job)) return;
    if (!job.cancellable) throw this.#source.refused('cancel', 'its job can be ended no more');
    await this.#source.terminate(job, signal);
  }

  /** If one host is silent, the other host's mark is still removed. */
  async finish({ id, to }: ManagedOrder, signal: AbortSignal): Promise<void> {
    const hosts = [this.#source, await this.#there(to)];
    const tidied = await Promise.allSettled(hosts.map((host) => this.#unmark(host, id, signal)));
    const failed = tidied.find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  async #unmark(host: HypervHost, id: string, signal: AbortSignal): Promise<void> {
    if (markedAt(await host.notes(this.#machine, signal), id) === undefined) return;
    await host.ask('unmark', { id: this.#machine, mark: markBegins(id) }, signal);
  }

  async close(): Promise<void> {
    this.#source.close();
    this.#destination?.host.close();
    this.#destination = undefined;
  }
}

function orSilent(asked: Promise<Sight>): Promise<Sight> {
  return asked.catch((): Sight => 'silent');
}

/**
 * Godwit's mark in the virtual machine's notes during a migration: Hyper-V has no task names, and the notes move
 * with the guest. The time is the source host's, as in its jobs. Pure.
 */

/** Start of a mark; the host appends its time and a bracket. */
export function markBegins(id: string): string {
  return `[godwit ${id} `;
}

/** Time of the host's order for this migration, ms since 1970 by its clock; undefined without a mark. */
export function markedAt(notes: string, id: string): number | undefined {
  const begins = markBegins(id);
  const at = notes.indexOf(begins);
  if (at === -1) return undefined;
  const time = /^([0-9TZ:.-]{1,40})\]/.exec(notes.slice(at + begins.length))?.[1] ?? '';
  const parsed = Date.parse(time);
  return Number.isNaN(parsed) ? undefined : parsed;
}
