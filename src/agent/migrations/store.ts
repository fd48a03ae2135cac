import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../clock.ts';
import { godwitError, toGodwitError, type GodwitError } from '../../errors.ts';
import { replaySource } from '../../migration/direct/journal.ts';
import { destinationMayBeAsked, sourceMayBeAsked } from '../../migration/direct/retention.ts';
import { managedMayBeAsked } from '../../migration/managed/state.ts';
import { replayManaged } from '../../migration/managed/journal.ts';
import { managedReport } from '../../migration/managed/report.ts';
import { destinationReportOf } from '../../migration/report/destination.ts';
import { reportOf } from '../../migration/report/report.ts';
import { isEnd, type Progress, type Report } from '../../protocol/public/migration.ts';
import { journalOf, otherHost, type MoverRequest } from '../../protocol/mover/request.ts';
import { migrationId } from '../../protocol/names.ts';
import { readJournals } from '../../host/journal/journal.ts';
import { ageStore } from '../../system/files/store-age.ts';
import { syncDirectory } from '../../system/journal-file.ts';
import {
  damaged,
  readRequest,
  requestFile,
  writeRequest,
} from '../../host/journal/request-file.ts';
import type { Arrival } from '../guests/guest-labels.ts';
import { journalsIn, standInFor, type Damage } from './damaged-request.ts';
import { followJournal, type JournalFollower, type FollowedState } from './followed-journal.ts';
import { briefly, planned } from './planned-report.ts';
import { PrunedMigrations } from './used-ids.ts';
import { surplus } from './records-to-remove.ts';
import { wayBackOf } from './way-back.ts';

/** Ended migrations kept for `godwit migrations` and `godwit report`. */
const KEPT = 1000;
const SET_ASIDE = 'migrations-set-aside';

export interface Migration {
  readonly id: string;
  readonly dir: string;
  readonly request: MoverRequest;
  readonly damage?: Damage;
}

/** The migrations' directories, `stateDir/migrations/<id>/`. The agent adds them; movers write in them. */
export class MigrationStore {
  readonly #dir: string;
  readonly #host: string;
  readonly #clock: Clock;
  readonly #migrations = new Map<string, Migration>();
  /** Oldest first. Cached because it is read every second; cleared when a migration comes or goes. */
  #sorted: readonly Migration[] | undefined;
  readonly #ended = new Map<string, Progress>();
  readonly #endedAt = new Map<string, Report['runsAt']>();
  readonly #followed = new Map<string, JournalFollower>();
  readonly #asked = new Map<string, boolean>();
  readonly #pruned: PrunedMigrations;
  /** ISO 8601 (see system/files/store-age.ts). */
  readonly since: string;

  constructor(stateDir: string, host: string, clock: Clock) {
    this.#dir = path.join(stateDir, 'migrations');
    this.#host = host;
    this.#clock = clock;
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    this.#pruned = new PrunedMigrations(stateDir);
    for (const name of readdirSync(this.#dir)) {
      const found = migrationId.safeParse(name).success ? this.#read(name) : undefined;
      if (found !== undefined) this.#migrations.set(found.id, found);
    }
    // An earlier build wrote no file; the store is then as old as its oldest migration.
    const [oldest] = this.all();
    const now = new Date(clock.wallMs()).toISOString();
    this.since = ageStore(stateDir, this.#ageOf(oldest, stateDir) ?? now);
  }

  #ageOf(oldest: Migration | undefined, stateDir: string): string | undefined {
    return existsSync(path.join(stateDir, 'store.json')) ? undefined : oldest?.request.createdAt;
  }

  all(): readonly Migration[] {
    this.#sorted ??= oldestFirst(this.#migrations.values());
    return this.#sorted;
  }

  get(id: string): Migration | undefined {
    return this.#migrations.get(id);
  }

  need(id: string): Migration {
    const found = this.#migrations.get(id);
    if (found !== undefined) return found;
    throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id, host: this.#host });
  }

  mustBeNew(id: string): void {
    if (this.#pruned.has(id)) throw godwitError('GODWIT_ID_REUSED', { id });
  }

  /**
   * Makes the directory with its request.json atomically; both are on the disk when this returns. GODWIT_ID_REUSED as
   * `mustBeNew`.
   */
  add(asked: MoverRequest): Migration {
    this.mustBeNew(asked.id);
    const request = { ...asked, ordinal: nextOrdinal(this.all()) };
    const dir = path.join(this.#dir, request.id);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    // After a power loss, a journal without its request could not be assigned to a migration.
    writeRequest(dir, request);
    syncDirectory(this.#dir);
    const made = { id: request.id, dir, request };
    this.#migrations.set(request.id, made);
    this.#sorted = undefined;
    if (this.#migrations.size > KEPT + 100) this.prune();
    return made;
  }

  drop(id: string): void {
    const found = this.#migrations.get(id);
    if (found === undefined) return;
    this.#forget(id);
    rmSync(found.dir, { recursive: true, force: true });
  }

  /** Moves an unreadable migration out of the store, and returns the new place. Its id stays used. */
  setAside(id: string): string {
    const { dir, request } = this.need(id);
    const place = path.join(path.dirname(this.#dir), SET_ASIDE);
    mkdirSync(place, { recursive: true, mode: 0o700 });
    this.#pruned.remember([{ id, host: otherHost(request) }]);
    const target = path.join(place, id);
    renameSync(dir, target);
    syncDirectory(place);
    syncDirectory(this.#dir);
    this.#forget(id);
    return target;
  }

  #forget(id: string): void {
    this.#migrations.delete(id);
    this.#sorted = undefined;
    this.reopen(id);
    this.#followed.delete(id);
  }

  /**
   * True once a mover has written a record, or if that cannot be excluded. From then on the migration must be brought
   * to its end.
   */
  begun(id: string): boolean {
    if (this.#ended.has(id)) return true;
    try {
      return this.#look(id).begun;
    } catch {
      return true;
    }
  }

  /**
   * The reason why its request or journal cannot be read, such as GODWIT_JOURNAL_DAMAGED; undefined if both can. Such a
   * migration neither ends nor continues: it is listed as held, and its guest is not touched.
   */
  unreadable(id: string): GodwitError | undefined {
    if (this.#ended.has(id)) return undefined;
    try {
      this.#look(id);
      return undefined;
    } catch (thrown) {
      return toGodwitError(thrown);
    }
  }

  isEnded(id: string): boolean {
    if (this.#ended.has(id)) return true;
    try {
      // `progress` is cached from here on.
      return this.#look(id).isEnded && isEnd(this.progress(id).phase);
    } catch {
      return false;
    }
  }

  running(): Migration[] {
    return this.all().filter(({ id }) => !this.isEnded(id) && this.unreadable(id) === undefined);
  }

  /** Tells whether a migration may be sending. One that waits for its start sends nothing. */
  usesLink(): boolean {
    return this.running().some(({ id }) => this.progress(id).phase !== 'planned');
  }

  /** Progress by its journal; `held` with the error if that cannot be read. */
  progress(id: string): Progress {
    const kept = this.#ended.get(id);
    if (kept !== undefined) return kept;
    const migration = this.need(id);
    try {
      const progress = this.#progressNow(migration);
      if (isEnd(progress.phase)) {
        this.#ended.set(id, progress);
        this.#followed.delete(id);
      }
      return progress;
    } catch (thrown) {
      const report = planned(migration.request, this.#clock.wallMs());
      return { ...briefly(report), phase: 'held', error: toGodwitError(thrown).toJSON() };
    }
  }

  runsAt(id: string): Report['runsAt'] {
    const kept = this.#endedAt.get(id);
    if (kept !== undefined) return kept;
    try {
      const { runsAt, isEnded } = this.#look(id);
      if (isEnded && this.isEnded(id)) this.#endedAt.set(id, runsAt);
      return runsAt;
    } catch {
      return 'unknown';
    }
  }

  /** Outcome for a guest that was to come here. For an unknown or forgotten migration it did not come. */
  arrival(id: string): Arrival {
    if (!this.#migrations.has(id)) return 'stayed-away';
    const runsAt = this.runsAt(id);
    if (runsAt === 'destination') return 'arrived';
    return runsAt === 'source' && this.isEnded(id) ? 'stayed-away' : 'open';
  }

  /** Reads the journal alone; a migration without records is reported as planned. */
  report(id: string): Report {
    const { dir, request, damage } = this.need(id);
    if (damage !== undefined) throw damage.error;
    const nowMs = this.#clock.wallMs();
    const { source, destination, managed } = readJournals(dir);
    const report =
      reportOf(source, nowMs) ??
      destinationReportOf(destination, nowMs) ??
      managedReport(managed, nowMs);
    return { ...(report ?? planned(request, nowMs)), ...wayBackOf(this, request) };
  }

  journals(id: string): ReturnType<typeof readJournals> {
    return readJournals(this.need(id).dir);
  }

  reopen(id: string): void {
    this.#ended.delete(id);
    this.#endedAt.delete(id);
    this.#asked.delete(id);
  }

  /**
   * Removes ended ones beyond the limit, from the host with most of them first; never one that the other host may still
   * query.
   */
  prune(): void {
    const ended = this.all().filter(({ id }) => this.isEnded(id) && !this.#mayBeAsked(id));
    const gone = surplus(ended, KEPT);
    this.#pruned.remember(gone.map(({ id, request }) => ({ id, host: otherHost(request) })));
    for (const { id } of gone) this.drop(id);
  }

  /**
   * Ended migrations that host `from` may still query, oldest first. Recoveries are excluded: they have no other host.
   */
  unheard(from: string): Migration[] {
    return this.all().filter(({ id, request }) => {
      if (request.side !== 'destination' || request.fromHost !== from) return false;
      return request.recovery === undefined && this.isEnded(id) && this.#mayBeAsked(id);
    });
  }

  heard(id: string): void {
    this.#asked.set(id, false);
  }

  #mayBeAsked(id: string): boolean {
    const known = this.#asked.get(id);
    if (known !== undefined) return known;
    const asked = mayBeAsked(this.need(id));
    this.#asked.set(id, asked);
    return asked;
  }

  #look(id: string): FollowedState {
    const { dir, request, damage } = this.need(id);
    if (damage !== undefined) throw damage.error;
    let followed = this.#followed.get(id);
    if (followed === undefined) {
      followed = followJournal(dir, journalOf(request));
      this.#followed.set(id, followed);
    }
    return followed.look();
  }

  #progressNow({ id, request }: Migration): Progress {
    const nowMs = this.#clock.wallMs();
    return this.#look(id).progress(nowMs) ?? briefly(planned(request, nowMs));
  }

  #read(name: string): Migration | undefined {
    const dir = path.join(this.#dir, name);
    let error: GodwitError;
    try {
      const request = readRequest(dir);
      if (request !== undefined) return { id: name, dir, request };
      error = damaged(requestFile(dir), 'it is missing');
    } catch (thrown) {
      error = toGodwitError(thrown);
    }
    const [of] = journalsIn(dir);
    // The agent died before the request was complete or a mover wrote a record: nothing has begun.
    if (of === undefined) return undefined;
    const { request, isGuestKnown } = standInFor(dir, this.#host, of);
    return { id: name, dir, request, damage: { error, isGuestKnown } };
  }
}

/** A migration with an unreadable journal may be queried in any case. */
function mayBeAsked({ dir, request }: Migration): boolean {
  try {
    const { source, destination, managed } = readJournals(dir);
    switch (journalOf(request)) {
      case 'source':
        return sourceMayBeAsked(replaySource(source.map(({ event }) => event)));
      case 'destination':
        return destinationMayBeAsked(destination.map(({ event }) => event));
      case 'managed':
        return managedMayBeAsked(replayManaged(managed.map(({ event }) => event)));
    }
  } catch {
    return true;
  }
}

interface OrderedMigration {
  readonly request: Pick<MoverRequest, 'ordinal' | 'createdAt'>;
}

/**
 * Sorts by arrival in the store, because the clock may go back. Migrations of earlier builds have no ordinal; they come
 * first, by time. Pure.
 */
export function oldestFirst<M extends OrderedMigration>(migrations: Iterable<M>): M[] {
  return [...migrations].toSorted(
    ({ request: left }, { request: right }) =>
      (left.ordinal ?? 0) - (right.ordinal ?? 0) || (left.createdAt < right.createdAt ? -1 : 1),
  );
}

export function nextOrdinal(sorted: readonly OrderedMigration[]): number {
  return (sorted.at(-1)?.request.ordinal ?? 0) + 1;
}
