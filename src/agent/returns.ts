import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../clock.ts';
import type { AgentConfig } from '../config.ts';
import { hasCode, toGodwitError } from '../errors.ts';
import { readJournals } from '../host/journal.ts';
import { writeWhole } from '../host/whole-file.ts';
import { answerOf } from '../hooks/runner.ts';
import type { HookFacts } from '../hooks/hooks.ts';
import type { Log } from '../log.ts';
import { replayDestination } from '../migration/direct/journal.ts';
import {
  afterRefusal,
  afterRun,
  cancelled,
  goesBackBy,
  nextDeed,
  RUN_MS,
  siteCheckOf,
  unreadable,
  watchFrom,
  watchState,
  wayBack,
} from '../migration/site-check.ts';
import type { Finding, WatchFacts, WatchState } from '../migration/site-check.ts';
import type { DestinationMoverRequest } from '../protocol/mover/request.ts';
import type { CancelAnswer } from '../protocol/public/contract.ts';
import { isEnd } from '../protocol/public/migration.ts';
import type { ReturnIfUnhealthy, SiteCheck } from '../protocol/public/site-check.ts';
import type { Follow } from './follow.ts';
import { guestOf } from './guests.ts';
import { newId } from './outgoing.ts';
import type { Outgoing } from './outgoing.ts';
import type { Migration, MigrationStore } from './store.ts';

const LOOK_MS = 1000;
/** Checks that run at once; the others wait for another look. */
const MOST_RUNS = 8;
/** In the migration's directory. */
const FILE = 'site-check.json';

export interface ReturnsParts {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: MigrationStore;
  readonly outgoing: Pick<Outgoing, 'start'>;
  readonly follow: Pick<Follow, 'cancel'>;
}

/** A guest that came here and is looked after: by which migration, and what was asked for. */
interface Arrived {
  readonly migration: Migration;
  readonly request: DestinationMoverRequest;
  readonly asked: ReturnIfUnhealthy;
}

/**
 * Guests that came here with `--return-if-unhealthy`: the site's own check of each is run until its time is over, and a
 * guest that fails it goes back where it came from by a migration of its own. What is decided lies on the disk first.
 */
export class Returns {
  readonly #parts: ReturnsParts;
  readonly #over = new AbortController();
  readonly #states = new Map<string, WatchState>();
  /** Migrations that bring no such guest, or whose guest is looked after no more. */
  readonly #settled = new Set<string>();
  /** What is being done for each. */
  readonly #busy = new Map<string, Promise<void>>();
  #runs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: ReturnsParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
  }

  /** Ends checks that run; whoever starts the agent again goes on. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#over.abort(new Error('the agent is stopping'));
    await Promise.all(this.#busy.values());
  }

  /** Does for each guest what is due now; resolves once that is done. */
  async look(): Promise<void> {
    if (this.#over.signal.aborted) return;
    for (const migration of this.#parts.store.all()) {
      const { id } = migration;
      if (this.#settled.has(id) || this.#busy.has(id)) continue;
      const arrived = arrivedBy(migration);
      if (arrived === undefined) {
        this.#settled.add(id);
        continue;
      }
      const work = this.#advance(arrived)
        .catch((error: unknown) => {
          if (this.#over.signal.aborted) return;
          this.#parts.log.error({ id, error: toGodwitError(error) }, 'a guest is not looked after');
        })
        .finally(() => this.#busy.delete(id));
      this.#busy.set(id, work);
    }
    await Promise.all(this.#busy.values());
    // Some were pruned. What is known lies on the disk, and is read again.
    if (this.#settled.size > this.#parts.store.all().length) {
      this.#settled.clear();
      this.#states.clear();
    }
  }

  /** For the report; undefined where this is no such guest. */
  of(id: string): SiteCheck | undefined {
    const migration = this.#parts.store.get(id);
    const arrived = migration === undefined ? undefined : arrivedBy(migration);
    const state = arrived === undefined ? undefined : this.#stateOf(arrived);
    return state === undefined ? undefined : siteCheckOf(state);
  }

  /** Ends the looks at a guest, and its way back; undefined where there are none. */
  async cancel(id: string, by: string): Promise<CancelAnswer | undefined> {
    const { store, follow, config, log } = this.#parts;
    const migration = store.get(id);
    const arrived = migration === undefined ? undefined : arrivedBy(migration);
    if (arrived === undefined || !store.isEnded(id)) return undefined;
    // A way back that is being asked for is there, or is not, once this is over.
    if (this.#stateOf(arrived)?.back !== undefined) await this.#busy.get(id);
    const state = this.#stateOf(arrived);
    if (state === undefined || state.ended !== undefined) return undefined;
    const { back } = state;
    if (back !== undefined && store.get(back) !== undefined) {
      const answer = await follow.cancel(back);
      return { ...answer, what: `${back}, which takes it back: ${answer.what}` };
    }
    this.#keep(arrived, cancelled(state, by));
    log.info({ id, by }, 'a guest is not to be taken back');
    const { guest } = arrived.request.admission;
    return { accepted: true, what: `${guest} stays on ${config.name}: it is checked no more` };
  }

  async #advance(arrived: Arrived): Promise<void> {
    const { store, clock } = this.#parts;
    const { id } = arrived.migration;
    if (!store.isEnded(id)) return;
    const state = this.#stateOf(arrived) ?? this.#begin(arrived);
    if (state === undefined || state.ended !== undefined) {
      this.#settled.add(id);
      return;
    }
    const deed = nextDeed(state, this.#factsOf(arrived, state));
    switch (deed.do) {
      case 'nothing':
        return;
      case 'keep':
        this.#keep(arrived, deed.state);
        return;
      case 'check': {
        if (this.#runs >= MOST_RUNS) return;
        const found = await this.#run(arrived);
        // Cancelled meanwhile: that is the last word.
        if (this.#stateOf(arrived)?.ended !== undefined) return;
        this.#keep(arrived, afterRun(state, found, clock.wallMs()));
        return;
      }
      case 'return':
        await this.#takeBack(arrived, state);
        return;
    }
  }

  #begin(arrived: Arrived): WatchState | undefined {
    const { store, clock } = this.#parts;
    const { id } = arrived.migration;
    if (store.runsAt(id) !== 'destination') return undefined;
    const { endedAt } = store.report(id);
    const state = watchFrom(
      arrived.asked,
      endedAt === undefined ? clock.wallMs() : Date.parse(endedAt),
    );
    this.#keep(arrived, state);
    return state;
  }

  #factsOf({ migration, request }: Arrived, state: WatchState): WatchFacts {
    const { store, clock } = this.#parts;
    const all = store.all();
    const since = all.slice(all.findIndex(({ id }) => id === migration.id) + 1);
    const others = since.filter(
      (each) => guestOf(each) === request.admission.guest && !state.attempts.includes(each.id),
    );
    const isUnderWay = others.some(({ id }) => !store.isEnded(id));
    const isGone = others.some(({ id }) => store.isEnded(id) && store.runsAt(id) !== 'source');
    const known = state.back === undefined ? undefined : store.get(state.back);
    const back = known === undefined ? undefined : store.progress(known.id);
    return {
      nowMs: clock.wallMs(),
      others: isGone ? 'moved-on' : isUnderWay ? 'under-way' : 'none',
      ...(back === undefined
        ? {}
        : {
            back: {
              phase: back.phase,
              ended: isEnd(back.phase),
              ...(back.error === undefined ? {} : { error: back.error.message }),
            },
          }),
    };
  }

  async #run({ migration, request, asked }: Arrived): Promise<Finding> {
    const { config } = this.#parts;
    const { signal } = this.#over;
    const facts = (): HookFacts => {
      const { destination } = readJournals(migration.dir);
      const state = replayDestination(destination.map(({ event }) => event));
      const { guest, from, settings } = request.admission;
      return {
        migration: migration.id,
        guest,
        from,
        to: config.name,
        mode: settings?.mode ?? 'precopy',
        networks: state?.preparation?.networks ?? [],
        ports: state?.ports ?? {},
      };
    };
    this.#runs += 1;
    const limits = { signal, deadlineMs: RUN_MS };
    const answer = await answerOf(config, asked.check, facts, limits).finally(() => {
      this.#runs -= 1;
    });
    if (answer === undefined)
      return { as: 'missing', why: `${config.name} has no executable ${asked.check} any more` };
    if (answer.ok) return { as: 'good' };
    const why = `${asked.check} ${answer.why}`;
    return answer.unstarted === true
      ? { as: 'missing', why }
      : { as: 'bad', why, code: answer.code };
  }

  async #takeBack(arrived: Arrived, asked: WatchState): Promise<void> {
    const { outgoing, clock, log } = this.#parts;
    const { migration, request } = arrived;
    const id = asked.back ?? newId(clock.wallMs());
    const state = asked.back === undefined ? goesBackBy(asked, id) : asked;
    if (state !== asked) this.#keep(arrived, state);
    const { guest, from, settings } = request.admission;
    if (settings === undefined) return;
    const why = state.due ?? '';
    try {
      await outgoing.start(
        { ...wayBack(settings, { guest, to: from }), id },
        { migration: migration.id, why },
      );
      log.warn({ id, guest, to: from, why }, 'a guest is taken back: its check failed');
    } catch (thrown) {
      const error = toGodwitError(thrown);
      // Somebody moves it meanwhile, and decides.
      if (hasCode(thrown, 'GODWIT_GUEST_BUSY')) return;
      log.error({ id, guest, error }, 'a guest cannot be taken back');
      this.#keep(arrived, afterRefusal(state, error.message, clock.wallMs()));
    }
  }

  #stateOf({ migration }: Arrived): WatchState | undefined {
    const known = this.#states.get(migration.id);
    if (known !== undefined) return known;
    const read = this.#read(migration);
    if (read !== undefined) this.#states.set(migration.id, read);
    return read;
  }

  /** Undefined where there is none yet. What cannot be read leads to nothing. */
  #read({ id, dir }: Migration): WatchState | undefined {
    const file = path.join(dir, FILE);
    if (!existsSync(file)) return undefined;
    try {
      return watchState.parse(JSON.parse(readFileSync(file, 'utf8')));
    } catch (error) {
      this.#parts.log.error({ id, error: toGodwitError(error) }, `${FILE} cannot be read`);
      return unreadable();
    }
  }

  #keep({ migration }: Arrived, state: WatchState): void {
    writeWhole(path.join(migration.dir, FILE), `${JSON.stringify(state)}\n`);
    this.#states.set(migration.id, state);
  }
}

function arrivedBy(migration: Migration): Arrived | undefined {
  const { request } = migration;
  if (request.side !== 'destination') return undefined;
  const asked = request.admission.settings?.returnIfUnhealthy;
  return asked === undefined ? undefined : { migration, request, asked };
}
