import { createHash } from 'node:crypto';
import { systemClock, type Clock } from '../../clock.ts';
import { godwitError } from '../../errors.ts';
import { bootTime } from '../../system/processes/process.ts';
import { disksOf, numberOf } from '../../migration/standby/content.ts';
import {
  isLater,
  judgeFreshness,
  MAX_MISSED_BEATS,
  type Freshness,
} from '../../migration/standby/freshness.ts';
import { judgeRoom, type Room } from '../../migration/standby/room.ts';
import { passedMs, type BootTime } from '../../migration/boot-time.ts';
import type { ImageStamp } from '../../migration/standby/image-stamps.ts';
import type { StandbyHeartbeat, StandbyOffer } from '../../protocol/peer/standby.ts';
import { MAX_OF_ONE_SOURCE, MAX_STANDBYS, type Standby } from '../../protocol/public/recovery.ts';
import { SpacedWrites } from './spaced-writes.ts';
import { StandbyFiles, type Confirmation, type KeptStandby } from './standby-files.ts';
import { formatBytes } from '../../protocol/quantity.ts';

/** A description of a guest is some 10 KiB. */
const MAX_BYTES = 256 * 1024;
/** Minimum charge of a description, for its memory and file. */
const MIN_BYTES = 16 * 1024;
/** Limits of one host, and of all. With the minimum charge, the API's lists can hold all descriptions. */
const ROOM: Room = {
  maxBytesOfOne: MAX_OF_ONE_SOURCE * MIN_BYTES,
  maxBytes: MAX_STANDBYS * MIN_BYTES,
};
/** Interval for confirmations that change nothing; each write syncs the disk, ms. */
const WRITTEN_MS = 60_000;
const WRITE_EVERY_MS = 1000;

/** Subject of a description, and when its host confirmed it; `Ms` by the monotonic clock of this agent. */
export interface KeptView {
  readonly standby: Pick<Standby, 'guest' | 'from' | 'memoryBytes' | 'keptAt'>;
  readonly uuid: string | undefined;
  readonly disks: string;
  readonly keptAtMs: number;
  /** `keptAt` in this boot of this host; undefined: before it, or by an earlier build. */
  readonly described: BootTime | undefined;
  readonly reported: BootTime | undefined;
  readonly bytes: number;
  readonly digest: string | undefined;
  readonly reportedDigest: string | undefined;
  readonly confirmedAt: string | undefined;
  /** Computed from the wall clock if it was before this agent started; used for display and expiry. */
  readonly confirmedAtMs: number | undefined;
  /** The same in this boot of this host; undefined: before it, or never. */
  readonly confirmed: BootTime | undefined;
  readonly images: readonly ImageStamp[] | undefined;
  readonly missedBeats: number;
}

export interface StandbyState {
  readonly freshness: Freshness;
  readonly number: string;
  /** Another host reported the guest later and must be asked about it. */
  readonly isDisputed: boolean;
}

export interface StandbysOptions {
  readonly now?: () => BootTime;
  readonly room?: Room;
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

export class Standbys {
  readonly #files: StandbyFiles;
  readonly #host: string;
  readonly #clock: Pick<Clock, 'wallMs' | 'monotonicMs'>;
  readonly #now: () => BootTime;
  readonly #room: Room;
  /** Standbys by host, then guest, read once, because only this process writes there. */
  readonly #kept = new Map<string, Map<string, KeptView>>();
  /** Some may be lost in a crash, which only makes descriptions older. */
  readonly #writes: SpacedWrites;
  readonly #writtenMs = new Map<string, number>();

  constructor(
    stateDir: string,
    host: string,
    clock: Pick<Clock, 'wallMs' | 'monotonicMs'>,
    { now = bootTime, room = ROOM, sleep = pause }: StandbysOptions = {},
  ) {
    this.#now = now;
    this.#room = room;
    this.#files = new StandbyFiles(stateDir);
    this.#writes = new SpacedWrites({
      clock: { monotonicMs: () => clock.monotonicMs(), sleep },
      everyMs: WRITE_EVERY_MS,
      write: (from) => this.#writeConfirmations(from),
    });
    this.#host = host;
    this.#clock = clock;
    for (const from of this.#files.hosts()) {
      const confirmations = this.#files.readConfirmations(from);
      for (const guest of this.#files.guests(from)) {
        const found = this.#files.read(from, guest);
        if (found !== undefined) this.#add(found, confirmations.get(guest));
      }
    }
  }

  list(): KeptView[] {
    return [...this.#kept.values()].flatMap((each) => [...each.values()]).slice(0, MAX_STANDBYS);
  }

  sources(): string[] {
    return [...this.#kept.keys()];
  }

  of(from: string): KeptView[] {
    return [...(this.#kept.get(from)?.values() ?? [])];
  }

  /** Replaces the description of that guest of that host, durably when this returns; its confirmation follows soon. */
  keep(offer: StandbyOffer, placeKey: string): void {
    const { guest, from } = offer.admission;
    const keptAt = new Date(this.#clock.wallMs()).toISOString();
    const boot = this.#now();
    const kept: KeptStandby = { version: 1, ...offer, placeKey, keptAt, boot };
    const text = `${JSON.stringify(kept)}\n`;
    if (Buffer.byteLength(text) > MAX_BYTES) {
      throw godwitError('GODWIT_TOO_LARGE', {
        what: `a standby of ${guest}`,
        limit: formatBytes(MAX_BYTES),
      });
    }
    this.#makeRoom(from, guest, bytesOf(text));
    this.#files.write(from, guest, text);
    const { digest } = offer;
    const now = { confirmedAt: keptAt, boot, reported: boot };
    this.#add(kept, digest === undefined ? undefined : { ...now, digest });
    void this.#writes.ask(from);
  }

  /** GODWIT_OVERLOADED if there is no room. The next heartbeat of an evicted host tells it so. */
  #makeRoom(from: string, guest: string, bytes: number): void {
    const before = this.#kept.get(from)?.get(guest)?.bytes ?? 0;
    const own = this.of(from).reduce((sum, each) => sum + each.bytes, bytes - before);
    const hosts = this.sources().filter((host) => host !== from);
    const others = new Map(hosts.map((host) => [host, this.of(host).map((each) => each.bytes)]));
    const judged = judgeRoom(own, others, this.#room);
    if (judged.kind === 'none') {
      const whose = judged.whose === 'one' ? `of ${from}` : 'of all hosts';
      const what = `${this.#host}, in bytes of descriptions of guests ${whose} that it is a standby of,`;
      throw godwitError('GODWIT_OVERLOADED', { what, limit: judged.limit });
    }
    for (const host of judged.victims) this.forget(host, this.of(host).at(-1)?.standby.guest ?? '');
  }

  /**
   * Handles a heartbeat of a source. Returns guests whose description is missing here or differs. A report of a stale
   * description is durable once `settled` resolves.
   */
  confirm(from: string, { guests, withdrawn }: StandbyHeartbeat): string[] {
    for (const guest of withdrawn) this.forget(from, guest);
    const ofHost = this.#kept.get(from);
    const unknown: string[] = [];
    let isChanged = false;
    const nowMs = this.#clock.monotonicMs();
    const now = this.#now();
    const confirmedAt = new Date(this.#clock.wallMs()).toISOString();
    for (const { guest, digest, images } of guests) {
      const view = ofHost?.get(guest);
      if (view === undefined || (digest !== undefined && digest !== view.digest))
        unknown.push(guest);
      if (view === undefined) continue;
      if (digest === undefined) {
        const missedBeats = view.missedBeats + 1;
        isChanged ||= missedBeats === MAX_MISSED_BEATS;
        ofHost?.set(guest, { ...view, missedBeats });
        continue;
      }
      isChanged ||= view.reportedDigest !== digest || view.missedBeats >= MAX_MISSED_BEATS;
      // A stale description is not confirmed; its age grows.
      const confirmed =
        digest === view.digest
          ? { confirmedAtMs: nowMs, confirmedAt, confirmed: now, images, missedBeats: 0 }
          : {};
      ofHost?.set(guest, { ...view, reportedDigest: digest, reported: now, ...confirmed });
    }
    const isDue = nowMs - (this.#writtenMs.get(from) ?? -Infinity) >= WRITTEN_MS;
    if (ofHost !== undefined && ofHost.size > 0 && (isChanged || isDue))
      void this.#writes.ask(from);
    return unknown;
  }

  /** Resolves when that host's changed confirmations are on the disk; rejects if they cannot be written. */
  settled(from: string): Promise<void> {
    return this.#writes.settled(from);
  }

  close(): Promise<void> {
    return this.#writes.close();
  }

  /** GODWIT_STANDBY_NONE if nothing is kept, or it cannot be read. */
  need(from: string, guest: string): { readonly kept: KeptStandby; readonly view: KeptView } {
    const kept = this.#files.read(from, guest);
    const view = this.#kept.get(from)?.get(guest);
    if (kept !== undefined && view !== undefined) return { kept, view };
    throw godwitError('GODWIT_STANDBY_NONE', { host: this.#host, guest, from });
  }

  forget(from: string, guest: string): void {
    const ofHost = this.#kept.get(from);
    if (ofHost?.delete(guest) !== true) return;
    this.#files.remove(from, guest);
    if (ofHost.size > 0) return;
    this.#kept.delete(from);
    this.#writtenMs.delete(from);
    this.#files.removeAll(from);
  }

  /**
   * Freshness and content of a description, as the API reports it; `number` names both. `off`: hosts that do not answer
   * and are to be proved off, so they cannot be asked whether they had the guest.
   */
  stateOf(view: KeptView, off: readonly string[] = []): StandbyState {
    const { standby, disks, digest, reportedDigest, confirmedAt } = view;
    const { from, guest } = standby;
    const later = this.#laterHosts(view);
    const laterAt = later.find((host) => off.includes(host));
    const wasConfirmed = confirmedAt !== undefined;
    const freshness = judgeFreshness({ ...view, wasConfirmed, laterAt }, this.#now());
    const shown = { from, guest, disks, digest, reportedDigest, confirmedAt };
    return { freshness, number: numberOf(shown, sha256), isDisputed: later.length > 0 };
  }

  /**
   * Hosts that reported the same guest later. Before the guest is started, every host that is not proved off must
   * answer that it does not have it. So a report of such a host, which may be invented, makes no description stale.
   */
  #laterHosts({ standby: { guest, from }, uuid, confirmed }: KeptView): string[] {
    if (uuid === undefined || confirmed === undefined) return [];
    return this.sources().filter((other) => {
      // Compared by UUID: another guest of that name does not count.
      const view = other === from ? undefined : this.#kept.get(other)?.get(guest);
      return view?.uuid === uuid && isLater(view, confirmed);
    });
  }

  #add(kept: KeptStandby, confirmed: Confirmation | undefined): void {
    const { admission, preparation, keptAt, digest, boot: described } = kept;
    const { guest, from, memoryBytes } = admission;
    const ofHost = this.#kept.get(from) ?? new Map<string, KeptView>();
    const now = this.#now();
    const { confirmedAt, boot } = confirmed ?? {};
    const ageMs = boot === undefined ? undefined : passedMs(boot, now);
    const confirmedAtMs =
      ageMs === undefined ? this.#monotonicOf(confirmedAt) : this.#clock.monotonicMs() - ageMs;
    this.#kept.set(
      from,
      ofHost.set(guest, {
        standby: { guest, from, memoryBytes, keptAt },
        uuid: preparation.description.uuid,
        disks: disksOf(preparation),
        bytes: bytesOf(JSON.stringify(kept)),
        keptAtMs: this.#monotonicOf(keptAt) ?? this.#clock.monotonicMs(),
        described,
        // An earlier build recorded only the time of the confirmation.
        reported: confirmed?.reported ?? boot ?? described,
        digest,
        reportedDigest: confirmed?.digest,
        confirmedAt,
        confirmedAtMs,
        confirmed: ageMs === undefined ? undefined : boot,
        images: confirmed?.images,
        missedBeats: confirmed?.missedBeats ?? 0,
      }),
    );
  }

  /** Undefined for a future moment: the clock was set back, so the age is unknown. */
  #monotonicOf(wall: string | undefined): number | undefined {
    const ageMs = this.#clock.wallMs() - Date.parse(wall ?? '');
    return ageMs >= 0 ? this.#clock.monotonicMs() - ageMs : undefined;
  }

  async #writeConfirmations(from: string): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const all = [...(this.#kept.get(from)?.values() ?? [])].flatMap((view) => {
      const { reportedDigest: digest, reported, confirmedAt, images, missedBeats } = view;
      const boot = view.confirmed;
      const { guest } = view.standby;
      return digest === undefined
        ? []
        : [[guest, { digest, reported, confirmedAt, boot, images, missedBeats }] as const];
    });
    this.#writtenMs.set(from, nowMs);
    try {
      await this.#files.writeConfirmations(from, all);
    } catch (thrown) {
      this.#writtenMs.delete(from);
      if (this.#kept.has(from)) throw thrown;
    }
  }
}

const pause = (ms: number, signal?: AbortSignal): Promise<void> => systemClock.sleep(ms, signal);
const bytesOf = (text: string): number => Math.max(MIN_BYTES, Buffer.byteLength(text));
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
