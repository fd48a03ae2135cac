import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { withDeadline } from '../../deadline.ts';
import type { DiscoveredGuest, GuestLayout } from '../../port/inventory.ts';
import type { Driver } from '../../drivers/registry.ts';
import { hasCode, toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { HEARTBEAT_MS, MAX_UNCONFIRMED_MS } from '../../migration/standby/freshness.ts';
import {
  stepOf,
  type GuestLook,
  type OfferStep,
  type StandbyOfferRecord,
} from '../../migration/standby/offers.ts';
import { defined } from '../../protocol/defined.ts';
import type { StandbyHeartbeat } from '../../protocol/peer/standby.ts';
import { migrationRequest, type Check } from '../../protocol/public/migration.ts';
import { MAX_OF_ONE_SOURCE } from '../../protocol/public/recovery.ts';
import { Mutex } from '../../mutex.ts';
import { Poller } from '../../poller.ts';
import { mayBeElsewhere, type Guests } from '../guests/guests.ts';
import { driverOf } from '../processes/hypervisor-life.ts';
import type { Peers } from '../peers.ts';
import type { Checks } from '../preflight/checks.ts';
import type { MigrationStore } from '../migrations/store.ts';
import { DescribeQueues, type DueDescription } from './describe-queues.ts';
import { keyOf, type OfferedStandbys } from './offered.ts';

/** Deadline for six queries to one guest's hypervisor, ms. */
const LAYOUT_MS = 3000;
const GUESTS_AT_ONCE = 4;
const ANSWER_MS = 5000;
const HOSTS_AT_ONCE = 16;
const CHECKS_MS = 110_000;

/** Digest that matches no guest: the description stays stale until another digest is reported. */
const CHANGING = '0'.repeat(64);
/** Deadline for descriptions in flight when a change is announced, ms; the whole step has 30 s. */
const OFFERED_MS = 20_000;
/** An announced change takes effect within this time, or is announced again, ms. */
const ANNOUNCED_MS = 120_000;

export interface KeepStandbysDependencies {
  readonly config: Pick<AgentConfig, 'name'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly drivers: readonly Driver[];
  readonly guests: Pick<Guests, 'lastLook' | 'shown'>;
  readonly store: Pick<MigrationStore, 'all' | 'progress'>;
  readonly checks: Pick<Checks, 'standby'>;
  readonly peers: Pick<Peers, 'preflight' | 'address'>;
  readonly offered: OfferedStandbys;
}

interface SentUpdate {
  readonly guest: string;
  readonly to: string;
  readonly atMs: number;
}

interface PlannedOffer {
  readonly offer: StandbyOfferRecord;
  readonly step: OfferStep;
}

/**
 * Keeps other hosts' descriptions of this host's guests current: confirms them with each heartbeat, sends them again
 * when a guest's block graph or devices change, and withdraws them when the guest leaves or loses its label.
 */
export class KeepStandbys {
  readonly #deps: KeepStandbysDependencies;
  readonly #looks: Poller;
  readonly #absentSince = new Map<string, number>();
  readonly #queues: DescribeQueues;
  /** Serializes heartbeats and announcements, so that an older one cannot arrive after a newer one. */
  readonly #turns = new Mutex();
  /** The last announced change (ms) of each guest, and the guest's digest at that time if its hypervisor answered. */
  readonly #announced = new Map<string, { readonly atMs: number; digest?: string | undefined }>();
  /** The last confirmation or description sent, ms, by guest and host. The other host counts both as fresh. */
  readonly #sent = new Map<string, SentUpdate>();
  readonly #offering = new Map<string, Set<Promise<unknown>>>();
  readonly #startedMs: number;

  constructor(deps: KeepStandbysDependencies) {
    this.#deps = deps;
    this.#looks = new Poller(deps);
    this.#startedMs = deps.clock.monotonicMs();
    this.#queues = new DescribeQueues({
      clock: deps.clock,
      describe: (due) => this.#describe(due),
      isTaken: (guest) => this.#offering.has(guest),
    });
  }

  start(): void {
    this.#looks.start(HEARTBEAT_MS, () => this.look(), 'standbys of guests were not confirmed');
  }

  async close(): Promise<void> {
    await this.#looks.close();
    await this.#queues.close();
  }

  /** Makes another host keep the description of a guest, after every check of a cold move to it. */
  async offer(guest: string, to: string, signal: AbortSignal): Promise<readonly Check[]> {
    const offering = this.#offer(guest, to, signal);
    const all = this.#offering.get(guest) ?? new Set();
    this.#offering.set(guest, all.add(offering));
    try {
      return await offering;
    } finally {
      all.delete(offering);
      if (all.size === 0) this.#offering.delete(guest);
    }
  }

  async #offer(guest: string, to: string, signal: AbortSignal): Promise<readonly Check[]> {
    const request = migrationRequest.parse({ guest, to, mode: 'cold', path: 'native' });
    // Read before the description, so that the next look detects a change meanwhile.
    const found = await this.#deps.guests.shown(guest);
    const { digest } = (await this.#layoutOf(found, signal)) ?? {};
    // An announced change may take effect before the other host has the description, so it must not count as confirmed.
    const isChanging = this.#isChanging(guest, digest);
    let checks: readonly Check[];
    try {
      const confirmed = isChanging ? undefined : digest;
      checks = await this.#deps.checks.standby(request, signal, confirmed);
    } finally {
      this.#hasSent(guest, to);
    }
    const labelled = isLabelled(found);
    if (digest === undefined) return checks;
    // The description may include a change made meanwhile, so it is sent again.
    const after = await this.#layoutOf(found, signal);
    const isRefused = isChanging || after?.digest !== digest;
    this.#deps.offered.put({ guest, to, digest, labelled, ...(isRefused && { isRefused }) });
    return checks;
  }

  /**
   * Tells every host that keeps the guest that its description becomes stale, before a change of the guest's disks.
   * Rejects if a host that may still count its description as fresh does not answer.
   */
  async announceChange(guest: string, signal: AbortSignal): Promise<void> {
    const announced = { atMs: this.#deps.clock.monotonicMs() };
    this.#announced.set(guest, announced);
    const underWay = [...(this.#offering.get(guest) ?? [])];
    const digest = await this.#digestOf(guest, signal);
    this.#announced.set(guest, { ...announced, digest });
    // A description that began earlier could arrive after the announcement and count as fresh.
    await withDeadline(`descriptions of ${guest} on their way`, OFFERED_MS, signal, () =>
      Promise.allSettled(underWay),
    );
    await this.#turns.run(() => this.#tellOfChange(guest, signal));
  }

  async #tellOfChange(guest: string, signal: AbortSignal): Promise<void> {
    const { offered, clock, peers } = this.#deps;
    const body = { guests: [{ guest, digest: CHANGING }], withdrawn: [] };
    const kept = [...offered.all(), ...this.#sent.values()].filter((each) => each.guest === guest);
    await Promise.all(
      [...new Set(kept.map(({ to }) => to))].map(async (to) => {
        if (peers.address(to) === undefined) return;
        const sentMs = this.#sent.get(keyOf({ guest, to }))?.atMs ?? this.#startedMs;
        if (clock.monotonicMs() - sentMs > MAX_UNCONFIRMED_MS) return;
        const ask = peers.preflight(to);
        await ask
          .confirmStandbys({ body }, { deadlineMs: ANSWER_MS, signal })
          .catch((thrown: unknown) => {
            // An earlier build never counts a description as fresh.
            if (!hasCode(thrown, 'GODWIT_ROUTE_UNKNOWN')) throw thrown;
          });
      }),
    );
  }

  #isChanging(guest: string, digest: string | undefined): boolean {
    const announced = this.#announced.get(guest);
    if (announced === undefined) return false;
    if (this.#deps.clock.monotonicMs() - announced.atMs >= ANNOUNCED_MS) return false;
    return announced.digest === undefined || announced.digest === digest;
  }

  async #digestOf(guest: string, signal: AbortSignal): Promise<string | undefined> {
    try {
      return (await this.#layoutOf(await this.#deps.guests.shown(guest), signal))?.digest;
    } catch {
      return undefined;
    }
  }

  #hasSent(guest: string, to: string): void {
    this.#sent.set(keyOf({ guest, to }), { guest, to, atMs: this.#deps.clock.monotonicMs() });
  }

  look(): Promise<void> {
    return this.#turns.run(() => this.#look());
  }

  async #look(): Promise<void> {
    const { offered, peers, clock } = this.#deps;
    const all = offered.all();
    if (all.length === 0 && this.#sent.size === 0) return;
    const left = all.filter(({ to }) => peers.address(to) === undefined);
    if (left.length > 0) offered.remove(...left);
    const looks = await this.#lookAtGuests(new Set(all.map(({ guest }) => guest)));
    const nowMs = clock.monotonicMs();
    const planned = offered.all().flatMap((offer): PlannedOffer[] => {
      const seen = looks.get(offer.guest);
      const look = seen && this.#announcedLook(offer, seen, nowMs);
      return look === undefined ? [] : [{ offer, step: stepOf(offer, look, nowMs) }];
    });
    const withdrawn = planned.filter(
      ({ offer, step }) => step.beat === 'withdraw' && offer.isWithdrawn !== true,
    );
    if (withdrawn.length > 0)
      offered.put(...withdrawn.map(({ offer }) => ({ ...offer, isWithdrawn: true })));
    const byHost = [...Map.groupBy(planned, ({ offer }) => offer.to)];
    await eachOf(byHost, HOSTS_AT_ONCE, ([to, own]) => this.#beat(to, own));
    const keys = new Set(offered.all().map(keyOf));
    this.#queues.replace(
      planned
        .filter(({ step }) => step.refresh)
        .map(({ offer: { guest, to }, step }) => ({ guest, to, digest: step.digest ?? '' })),
      keys,
    );
    for (const [key, { atMs }] of this.#sent)
      if (!keys.has(key) && nowMs - atMs > MAX_UNCONFIRMED_MS) this.#sent.delete(key);
  }

  /** A guest with an announced change is not confirmed as unchanged: the change may follow the look at once. */
  #announcedLook(offer: StandbyOfferRecord, look: GuestLook, nowMs: number): GuestLook {
    const announced = this.#announced.get(offer.guest);
    if (announced === undefined) return look;
    const { atMs } = announced;
    if (nowMs - atMs >= ANNOUNCED_MS) this.#announced.delete(offer.guest);
    else if (look.kind === 'read' && look.digest === offer.digest)
      return { kind: 'unread', labelled: look.labelled };
    return look;
  }

  async #beat(to: string, planned: readonly PlannedOffer[]): Promise<void> {
    const { offered, peers, log } = this.#deps;
    const { signal } = this.#looks;
    const withdrawn = planned
      .filter(({ step }) => step.beat === 'withdraw')
      .slice(0, MAX_OF_ONE_SOURCE);
    const body: StandbyHeartbeat = {
      guests: planned
        .filter(({ step }) => step.beat !== 'withdraw')
        .slice(0, MAX_OF_ONE_SOURCE)
        .map(({ offer: { guest }, step: { digest, images } }) => ({
          guest,
          ...defined({ digest }),
          ...(images === undefined || images.length === 0 ? {} : { images: [...images] }),
        })),
      withdrawn: withdrawn.map(({ offer }) => offer.guest),
    };
    for (const { offer, step } of planned)
      if (step.beat === 'confirm') this.#hasSent(offer.guest, offer.to);
    try {
      const { unknown } = await peers
        .preflight(to)
        .confirmStandbys({ body }, { deadlineMs: ANSWER_MS, signal });
      const refused = new Set(unknown);
      const changed = planned.flatMap(({ offer, step }) => {
        const now = offered.of(offer);
        const isOpen = step.beat !== 'withdraw' && now?.digest === offer.digest;
        const isNew = isOpen && refused.has(offer.guest) && now.isRefused !== true;
        return isNew ? [{ ...now, isRefused: true }] : [];
      });
      if (changed.length > 0) offered.put(...changed);
    } catch (thrown) {
      if (signal.aborted) return;
      // An earlier build neither confirms nor forgets; a silent host gets the next heartbeat.
      if (!hasCode(thrown, 'GODWIT_ROUTE_UNKNOWN')) {
        log.debug({ to, error: toGodwitError(thrown) }, 'standbys were not confirmed');
        return;
      }
    }
    const told = withdrawn.filter(({ offer }) => offered.of(offer)?.isWithdrawn === true);
    if (told.length > 0) offered.remove(...told.map(({ offer }) => offer));
  }

  async #lookAtGuests(names: ReadonlySet<string>): Promise<Map<string, GuestLook>> {
    const { guests, clock } = this.#deps;
    const looks = new Map<string, GuestLook>();
    const last = guests.lastLook();
    if (last === undefined) return looks;
    const nowMs = clock.monotonicMs();
    await eachOf([...names], GUESTS_AT_ONCE, async (name) => {
      const found = last.found.find(({ info }) => info.name === name);
      if (found === undefined) {
        // A silent driver may have the guest.
        if (last.silent.length > 0 || this.#isBusy(name)) return;
        const sinceMs = this.#absentSince.get(name) ?? nowMs;
        this.#absentSince.set(name, sinceMs);
        looks.set(name, { kind: 'absent', sinceMs });
        return;
      }
      this.#absentSince.delete(name);
      const labelled = isLabelled(found);
      const layout = this.#isBusy(name)
        ? undefined
        : await this.#layoutOf(found, this.#looks.signal);
      looks.set(
        name,
        layout === undefined ? { kind: 'unread', labelled } : { kind: 'read', labelled, ...layout },
      );
    });
    for (const name of this.#absentSince.keys())
      if (!names.has(name)) this.#absentSince.delete(name);
    return looks;
  }

  /**
   * A migration moves or holds it, or is unreadable: the guest may run elsewhere with other disks, while its hypervisor
   * here looks unchanged.
   */
  #isBusy(guest: string): boolean {
    return mayBeElsewhere(this.#deps.store, guest);
  }

  async #layoutOf(
    { handle, info }: DiscoveredGuest,
    signal: AbortSignal,
  ): Promise<GuestLayout | undefined> {
    const driver = driverOf(this.#deps.drivers, handle);
    if (handle === undefined || driver?.layout === undefined) return undefined;
    const ask = driver.layout.bind(driver);
    return withDeadline(`the devices of ${info.name}`, LAYOUT_MS, signal, (within) =>
      ask(handle, within),
    ).catch(() => undefined);
  }

  async #describe({ guest, to }: DueDescription): Promise<boolean> {
    const { log } = this.#deps;
    const { signal } = this.#looks;
    try {
      await withDeadline(`to describe ${guest} to ${to}`, CHECKS_MS, signal, (within) =>
        this.offer(guest, to, within),
      );
      log.info({ guest, to }, 'standby has the new description of a guest');
      return true;
    } catch (thrown) {
      const error = toGodwitError(thrown);
      if (!signal.aborted)
        log.warn({ guest, to, error }, 'standby has an old description of a guest');
      return false;
    }
  }
}

const isLabelled = ({ info }: DiscoveredGuest): boolean =>
  info.labels?.['godwit/recover'] === 'true';

async function eachOf<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = [...items];
  const next = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, next));
}
