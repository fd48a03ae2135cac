import { godwitError, toGodwitError } from '../../errors.ts';
import type {
  CopiedDisk,
  ManagedOrder,
  TaskChange,
  TaskSight,
  Whereabouts,
} from '../../migration/managed/task-sight.ts';
import { defined } from '../../protocol/defined.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { GuestSnapshot } from '../../migration/guest-changes/snapshot.ts';
import type { GuestMeasure } from '../../protocol/public/prediction.ts';
import type { ManagedInspection, ManagedSession } from '../../port/managed.ts';
import { writtenBy } from './arrived.ts';
import { managerPass, managerRefusal } from '../../port/manager-checks.ts';
import { diskChecks, guestChecks, heldDevices } from './check.ts';
import type { Domain, DomainState, JobStats, LibvirtClient } from './client.ts';
import { readDomain, type DomainFacts } from './domain-xml.ts';
import { destinationChecks, keptChecks } from './destination.ts';
import { measureDomain } from './dirty-rate.ts';
import { planCopies } from './images/copies.ts';
import { makePlaces, removePlaces, removeOriginals } from './images/copy-places.ts';
import { DaemonPair, type LibvirtHost } from './daemon-pair.ts';
import { DomainEvents } from './events.ts';
import { figuresOfEnded, isMigrating, markedSight, runningSight } from './job.ts';
import { endAtDestination, endAtSource, leaveAtSource } from './images/left-behind.ts';
import { identified, identityChecks, openImages, userChecks } from './images/open-images.ts';
import { giveOrder } from './order.ts';
import { portChecks } from './ports/port-checks.ts';
import { PortParts } from './ports/port-parts.ts';
import { platformChecks } from './platform.ts';
import { compressionChecks } from './stream-check.ts';
import { wireChecks } from './wire-check.ts';
import { domainSnapshot } from './snapshot.ts';
import { isPostCopyDue, type Outcome } from './task.ts';
import { endSecondCopy, whereIs, wordsOfSecond } from './two-copies.ts';
import { isInPostCopy, presence, runState } from './whereabouts.ts';
import { both } from './left-to-operator.ts';
import { MARK } from './mark.ts';

/** libvirt waits 30 s for another job of the domain; after that it does not begin. */
const SETTLES_MS = 60_000;
/** libvirt reports progress only on request, ms. */
const NOW_AND_THEN_MS = 400;

/**
 * Session for one domain through its source's daemon; the destination's daemon is queried for its side. The
 * daemons move the guest between them (peer to peer) and continue if Godwit's connection ends.
 */
export class LibvirtSession implements ManagedSession {
  readonly settlesMs = SETTLES_MS;
  readonly #daemons: DaemonPair;
  readonly #ports = new PortParts();
  #ordering: Promise<void> = Promise.resolve();
  #events: Promise<DomainEvents | undefined> | undefined;

  private constructor(daemons: DaemonPair) {
    this.#daemons = daemons;
  }

  static async open(host: LibvirtHost, uuid: string, signal: AbortSignal): Promise<LibvirtSession> {
    return new LibvirtSession(await DaemonPair.open(host, uuid, signal));
  }

  inspect(signal: AbortSignal): Promise<ManagedInspection> {
    const { source, host } = this.#daemons;
    return this.#daemons.reported('dumpxml', async () => {
      const domain = await this.#known(signal);
      // Checks and snapshot use the same XML: a change between two reads would be missed.
      const xml = await source.xml(domain, signal);
      const facts = this.#factsIn(xml, domain);
      // The snapshot is taken before the checks, so that a later change shows in the next comparison.
      const snapshot = await this.#snapshot(xml, signal);
      const migrating = isMigrating(await source.job(domain, signal));
      const state = runState(await source.state(domain, signal), migrating);
      const disks = await diskChecks(domain.name, facts.disks);
      const at = { host: host.name, side: 'source' } as const;
      const kept = await keptChecks(source, domain, at, signal);
      const images = identityChecks(domain.name, await openImages(facts));
      const ports = await portChecks(facts, host.options.portHook, signal);
      const seen = [...images, ...kept, ...disks, ...ports];
      const checks = [...guestChecks(domain.name, state, facts), ...seen];
      const { memoryBytes, disks: all } = facts;
      const found = { memoryBytes, checks, written: writtenBy(all), devices: heldDevices(all) };
      return { ...found, snapshot };
    });
  }

  async snapshot(signal: AbortSignal): Promise<GuestSnapshot | undefined> {
    const domain = await this.#daemons.running(this.#daemons.source, signal);
    return domain && this.#snapshot(await this.#daemons.source.xml(domain, signal), signal);
  }

  async #snapshot(xml: string, signal: AbortSignal): Promise<GuestSnapshot | undefined> {
    const snapshot = domainSnapshot(xml);
    const { facts } = readDomain(xml);
    if (snapshot === undefined || facts === undefined) return snapshot;
    return { parts: [...snapshot.parts, ...(await this.#ports.read(facts, signal))] };
  }

  measure(signal: AbortSignal): Promise<GuestMeasure> {
    return this.#daemons.reported('domdirtyrate-calc', async () => {
      const domain = await this.#known(signal);
      const { memoryBytes } = await this.#facts(domain, signal);
      return measureDomain(this.#daemons.source, domain, memoryBytes, signal);
    });
  }

  async #known(signal: AbortSignal): Promise<Domain> {
    const { source, host } = this.#daemons;
    const domain = await this.#daemons.domain(source, signal);
    if (domain !== undefined) return domain;
    throw godwitError('GODWIT_HYPERVISOR_LOST', {
      side: 'source',
      guest: 'the guest',
      reason: `libvirt of ${host.name} does not know it any more`,
    });
  }

  async #facts(domain: Domain, signal: AbortSignal): Promise<DomainFacts> {
    return this.#factsIn(await this.#daemons.source.xml(domain, signal), domain);
  }

  #factsIn(xml: string, domain: Domain): DomainFacts {
    const { facts, why } = readDomain(xml);
    if (facts !== undefined) return facts;
    const known = { peer: 'libvirt', expected: `XML of domain ${domain.name}`, what: why };
    const hint = 'Compare `virsh dumpxml` of it with the page of the driver libvirt.';
    throw godwitError('GODWIT_PROTOCOL_INVALID', known, { hint });
  }

  async check(order: ManagedOrder, signal: AbortSignal): Promise<Check[]> {
    let there: LibvirtClient;
    try {
      there = await this.#daemons.reported('connect', () =>
        this.#daemons.destination(order.to, signal),
      );
    } catch (thrown) {
      signal.throwIfAborted();
      return [managerRefusal('manager', 'destination', toGodwitError(thrown))];
    }
    return this.#daemons.reported('check', async () => {
      const { source } = this.#daemons;
      const [own, other] = await Promise.all([source.version(signal), there.version(signal)]);
      const evidence = `libvirt ${own} here, ${other} at ${there.uri}`;
      const domain = await this.#known(signal);
      const facts = await this.#facts(domain, signal);
      const asked = { facts, to: order.to, there };
      const planned = await planCopies({ ...asked, domain, here: source }, signal);
      const versions = { source: own, destination: other };
      return [
        managerPass('manager', 'both', evidence),
        ...(await destinationChecks(asked, signal)),
        ...(await platformChecks({ ...asked, here: source }, signal)),
        ...planned.checks,
        ...(await userChecks(domain.name, planned.copies, await openImages(facts), signal)),
        ...compressionChecks({ order, versions }),
        ...wireChecks({ order, versions }),
      ];
    });
  }

  copies({ to }: ManagedOrder, signal: AbortSignal): Promise<CopiedDisk[]> {
    return this.#daemons.reported('vol-info', async () => {
      const { source: here } = this.#daemons;
      const there = await this.#daemons.destination(to, signal);
      const domain = await this.#known(signal);
      const facts = await this.#facts(domain, signal);
      const { copies } = await planCopies({ facts, domain, here, there, to }, signal);
      return identified(copies, await openImages(facts));
    });
  }

  prepare(order: ManagedOrder, signal: AbortSignal): Promise<void> {
    return this.#daemons.reported('vol-create', () => makePlaces(this.#daemons, order, signal));
  }

  async unprepare(
    order: ManagedOrder,
    isOrdered: boolean,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const daemons = this.#daemons;
    if (isOrdered) await daemons.reported('destroy', () => endSecondCopy(daemons, order, signal));
    const kept =
      (order.copies ?? []).length > 0
        ? await daemons.reported('vol-delete', () =>
            removePlaces(daemons, order, isOrdered, signal),
          )
        : undefined;
    try {
      if (isOrdered)
        await daemons.reported('undefine', () => endAtDestination(daemons, order, signal));
    } catch (thrown) {
      throw kept === undefined ? thrown : both(thrown, kept);
    }
    if (kept !== undefined) throw kept;
    return isOrdered ? wordsOfSecond(daemons, order, signal) : undefined;
  }

  /** One order at a time, because libvirt cannot distinguish orders. */
  start(order: ManagedOrder, signal: AbortSignal): Promise<void> {
    const mine = this.#ordering
      .catch(() => undefined)
      .then(() => this.#daemons.reported('migrate', () => giveOrder(this.#daemons, order, signal)));
    this.#ordering = mine;
    return mine;
  }

  async changed(_order: ManagedOrder, signal: AbortSignal): Promise<'news' | 'quiet' | undefined> {
    const events = await this.#events;
    if (events === undefined) return undefined;
    return (await events.changed(NOW_AND_THEN_MS, signal)) ? 'news' : 'quiet';
  }

  /** Registered once before the first look, so that no later change is missed. */
  async #listen(signal: AbortSignal): Promise<DomainEvents | undefined> {
    const { source, host } = this.#daemons;
    const domain = await this.#daemons.running(source, signal);
    const events = domain && (await DomainEvents.open(source, domain, signal));
    if (events !== undefined) host.hear.add(events.news);
    return events;
  }

  look(order: ManagedOrder, signal: AbortSignal): Promise<TaskSight> {
    return this.#daemons.reported('domjobinfo', async () => {
      this.#events ??= this.#listen(signal);
      (await this.#events)?.looked();
      return this.#look(order, signal);
    });
  }

  async #look(order: ManagedOrder, signal: AbortSignal): Promise<TaskSight> {
    const { id } = order;
    const { source, host } = this.#daemons;
    const outcome = host.outcomes.get(id);
    if (outcome?.state === 'failed') return { state: 'failed', reason: outcome.reason };
    if (outcome?.state === 'cancelled') return { state: 'cancelled' };
    if ((await this.#daemons.running(source, signal)) === undefined) {
      return this.#arrived(order, outcome, signal);
    }
    const marked = await this.#daemons.marked(source, id, signal);
    if (marked === undefined) return { state: 'none' };
    const job = await source.job(marked.domain, signal);
    if (isMigrating(job)) {
      const state = await source.state(marked.domain, signal);
      await this.#switchOver(order, marked.domain, { job, state }, signal);
      return runningSight(job, isInPostCopy(state));
    }
    // Between two of libvirt's steps there may be no visible job.
    return outcome?.state === 'under way' ? { state: 'running' } : markedSight(marked.mark);
  }

  /** Each look switches to post-copy when it is due, because the mover that ordered it may have died. */
  async #switchOver(
    order: ManagedOrder,
    domain: Domain,
    { job, state }: { readonly job: JobStats; readonly state: DomainState },
    signal: AbortSignal,
  ): Promise<void> {
    const { source } = this.#daemons;
    const rounds = job.params['memory_iteration'];
    if (typeof rounds !== 'number' || !isPostCopyDue(order, rounds)) return;
    if (presence(state) !== 'has') return;
    // Refused if the job ended or paused meanwhile; the next look reports it.
    await source.startPostCopy(domain, signal).catch(() => undefined);
  }

  /** libvirt accepts each change while the job runs; an ended task has nothing to change. */
  steer({ id }: ManagedOrder, change: TaskChange, signal: AbortSignal): Promise<void> {
    const { source } = this.#daemons;
    return this.#daemons.reported('migrate-steer', async () => {
      const marked = await this.#daemons.marked(source, id, signal);
      if (marked === undefined || !isMigrating(await source.job(marked.domain, signal))) return;
      const { domain } = marked;
      if (presence(await source.state(domain, signal)) !== 'has') return;
      await ('postcopy' in change
        ? source.startPostCopy(domain, signal)
        : source.setMaxDowntime(domain, change.maxDowntimeMs, signal));
    });
  }

  /** The guest has left its source: reads the destination's state. */
  async #arrived(
    { id, to, mode }: ManagedOrder,
    outcome: Outcome | undefined,
    signal: AbortSignal,
  ): Promise<TaskSight> {
    const there = await this.#daemons.destination(to, signal);
    const marked = await this.#daemons.marked(there, id, signal);
    // A guest that has ended at the destination has no mark.
    if (marked === undefined) return { state: outcome?.state === 'done' ? 'done' : 'none' };
    if (outcome?.state === 'under way' || isMigrating(await there.job(marked.domain, signal))) {
      return { state: 'running' };
    }
    const counted = figuresOfEnded(await there.completedJob(marked.domain, signal), mode);
    // The destination has no figures after post-copy.
    const figures = counted ?? figuresOfEnded((await this.#events)?.completed, mode);
    return { state: 'done', ...defined({ figures }) };
  }

  where(order: ManagedOrder, signal: AbortSignal): Promise<Whereabouts> {
    return whereIs(this.#daemons, order, signal);
  }

  cancel({ id }: ManagedOrder, signal: AbortSignal): Promise<void> {
    const { source } = this.#daemons;
    return this.#daemons.reported('domjobabort', async () => {
      const marked = await this.#daemons.marked(source, id, signal);
      if (marked === undefined || !isMigrating(await source.job(marked.domain, signal))) return;
      await source.abortJob(marked.domain, signal);
    });
  }

  finish(order: ManagedOrder, signal: AbortSignal): Promise<void> {
    return this.#daemons.reported('metadata', () => finishOrder(this.#daemons, order, signal));
  }

  async close(): Promise<void> {
    // The end of the connection wakes waiting callers, who then find it closed.
    this.#daemons.close();
    const events = await this.#events?.catch(() => undefined);
    if (events !== undefined) this.#daemons.host.hear.delete(events.news);
  }
}

/**
 * Completes the move of an arrived guest. Can be repeated. One error lists all leftovers at the source; then the
 * mark stays with the guest. If only the operator reported the arrival, a copy or definition at the source stays
 * without its autostart.
 */
async function finishOrder(
  daemons: DaemonPair,
  order: ManagedOrder,
  signal: AbortSignal,
): Promise<void> {
  try {
    await finishArrived(daemons, order, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    const isUnproved = order.vouched === 'destination' && toGodwitError(thrown).retryable;
    const left = isUnproved
      ? await daemons.reported('autostart', () => leaveAtSource(daemons, order, signal))
      : undefined;
    throw left === undefined ? thrown : both(thrown, left);
  }
}

async function finishArrived(
  daemons: DaemonPair,
  order: ManagedOrder,
  signal: AbortSignal,
): Promise<void> {
  const { id, to, copies = [], keepSource } = order;
  const { source } = daemons;
  const there = await daemons.destination(to, signal);
  const arrived = await daemons.marked(there, id, signal);
  // libvirt refuses autostart for a guest without a definition, whatever its mark says.
  if (arrived?.mark.autostart === 'yes' && (await there.isPersistent(arrived.domain, signal)))
    await there.setAutostart(arrived.domain, true, signal);
  const left = await daemons.reported('undefine', () => endAtSource(daemons, order, signal));
  if (copies.length > 0 && keepSource !== true) {
    try {
      await daemons.reported('vol-delete', () => removeOriginals(daemons, order, signal));
    } catch (thrown) {
      throw left === undefined ? thrown : both(thrown, left);
    }
  }
  // The mark stays, so that a repeated call returns the same error after a lost answer.
  if (left !== undefined) throw left;
  for (const client of [source, there]) {
    const marked = await daemons.marked(client, id, signal);
    if (marked === undefined) continue;
    await client.setMetadata(marked.domain, MARK, undefined, signal);
  }
}
