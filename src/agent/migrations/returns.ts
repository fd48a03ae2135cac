import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { hasCode, toGodwitError } from '../../errors.ts';
import { readJournals } from '../../host/journal/journal.ts';
import { answerOf } from '../../hooks/runner.ts';
import type { HookFacts } from '../../hooks/hooks.ts';
import type { Log } from '../../log.ts';
import { replayDestination } from '../../migration/direct/journal.ts';
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
  type Finding,
  type WatchFacts,
  type WatchState,
} from '../../migration/site-check.ts';
import { defined } from '../../protocol/defined.ts';
import type { DestinationMoverRequest } from '../../protocol/mover/request.ts';
import { type CancelAnswer, isEnd } from '../../protocol/public/migration.ts';
import type { ReturnIfUnhealthy, SiteCheck } from '../../protocol/public/site-check.ts';
import { AfterEnd } from './after-end.ts';
import type { Follow } from './follow.ts';
import { guestOf } from '../guests/guests.ts';
import { newId, type Outgoing } from './outgoing.ts';
import type { Migration, MigrationStore } from './store.ts';

const MAX_RUNS = 8;
/** Hanging checks of one host's guests leave room for others. */
const MAX_RUNS_OF_ONE = 6;

export interface ReturnsDependencies {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: MigrationStore;
  readonly outgoing: Pick<Outgoing, 'start'>;
  readonly follow: Pick<Follow, 'cancel'>;
}

interface GuestArrival {
  readonly migration: Migration;
  readonly request: DestinationMoverRequest;
  readonly asked: ReturnIfUnhealthy;
}

/**
 * Guests that came with `--return-if-unhealthy`. The site's check of each guest runs until its time is over, and a
 * guest that fails it is moved back to its source. Decisions are on the disk before they take effect.
 */
export class Returns extends AfterEnd<WatchState> {
  readonly #deps: ReturnsDependencies;
  readonly #runs: string[] = [];

  constructor(deps: ReturnsDependencies) {
    const { log, store } = deps;
    super({ log, store, file: 'site-check.json', schema: watchState, unreadable });
    this.#deps = deps;
  }

  of(id: string): SiteCheck | undefined {
    const migration = this.#deps.store.get(id);
    const arrived = migration === undefined ? undefined : arrivedBy(migration);
    const state = arrived === undefined ? undefined : this.stateOf(arrived.migration);
    return state === undefined ? undefined : siteCheckOf(state);
  }

  async cancel(id: string, by: string): Promise<CancelAnswer | undefined> {
    const { store, follow, config, log } = this.#deps;
    const migration = store.get(id);
    const arrived = migration === undefined ? undefined : arrivedBy(migration);
    if (arrived === undefined || !store.isEnded(id)) return undefined;
    // After this it is certain whether the return has begun.
    if (this.stateOf(arrived.migration)?.back !== undefined) await this.idle(id);
    const state = this.stateOf(arrived.migration);
    if (state === undefined || state.ended !== undefined) return undefined;
    const { back } = state;
    if (back !== undefined && store.get(back) !== undefined) {
      const answer = await follow.cancel(back);
      return { ...answer, what: `${back}, which takes it back: ${answer.what}` };
    }
    this.keep(arrived.migration, cancelled(state, by));
    log.info({ id, by }, 'return of a guest cancelled');
    const { guest } = arrived.request.admission;
    return { accepted: true, what: `${guest} stays on ${config.name}: it is checked no more` };
  }

  protected async advance(migration: Migration, signal: AbortSignal): Promise<'more' | 'over'> {
    const { store, clock } = this.#deps;
    const arrived = arrivedBy(migration);
    if (arrived === undefined) return 'over';
    if (!store.isEnded(migration.id)) return 'more';
    const state = this.stateOf(arrived.migration) ?? this.#begin(arrived);
    if (state === undefined || state.ended !== undefined) return 'over';
    const deed = nextDeed(state, this.#factsOf(arrived, state));
    switch (deed.do) {
      case 'nothing':
        return 'more';
      case 'keep':
        this.keep(arrived.migration, deed.state);
        return 'more';
      case 'check': {
        if (!this.#mayRun(migration.request.fromHost)) return 'more';
        const found = await this.#run(arrived, signal);
        if (this.stateOf(arrived.migration)?.ended === undefined)
          this.keep(arrived.migration, afterRun(state, found, clock.wallMs()));
        return 'more';
      }
      case 'return':
        await this.#takeBack(arrived, state);
        return 'more';
    }
  }

  #mayRun(from: string): boolean {
    const ofOne = this.#runs.filter((each) => each === from).length;
    return ofOne < MAX_RUNS_OF_ONE && this.#runs.length < MAX_RUNS;
  }

  #begin(arrived: GuestArrival): WatchState | undefined {
    const { store, clock } = this.#deps;
    const { id } = arrived.migration;
    if (store.runsAt(id) !== 'destination') return undefined;
    const { endedAt } = store.report(id);
    const state = watchFrom(
      arrived.asked,
      endedAt === undefined ? clock.wallMs() : Date.parse(endedAt),
    );
    this.keep(arrived.migration, state);
    return state;
  }

  #factsOf({ migration, request }: GuestArrival, state: WatchState): WatchFacts {
    const { store, clock } = this.#deps;
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
              ...defined({ error: back.error?.message }),
            },
          }),
    };
  }

  async #run({ migration, request, asked }: GuestArrival, signal: AbortSignal): Promise<Finding> {
    const { config } = this.#deps;
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
    this.#runs.push(request.fromHost);
    const limits = { signal, deadlineMs: RUN_MS };
    const answer = await answerOf(config, asked.check, facts, limits).finally(() => {
      this.#runs.splice(this.#runs.indexOf(request.fromHost), 1);
    });
    if (answer === undefined)
      return { as: 'missing', why: `${config.name} has no executable ${asked.check} any more` };
    if (answer.ok) return { as: 'good' };
    const why = `${asked.check} ${answer.why}`;
    return answer.unstarted === true
      ? { as: 'missing', why }
      : { as: 'bad', why, code: answer.code };
  }

  async #takeBack(arrived: GuestArrival, asked: WatchState): Promise<void> {
    const { outgoing, clock, log } = this.#deps;
    const { migration, request } = arrived;
    const id = asked.back ?? newId(clock.wallMs());
    const state = asked.back === undefined ? goesBackBy(asked, id) : asked;
    if (state !== asked) this.keep(arrived.migration, state);
    const { guest, from, settings } = request.admission;
    if (settings === undefined) return;
    const why = state.due ?? '';
    try {
      await outgoing.start(
        { ...wayBack(settings, { guest, to: from }), id },
        { migration: migration.id, why },
      );
      log.warn({ id, guest, to: from, why }, 'guest moves back: its check failed');
    } catch (thrown) {
      const error = toGodwitError(thrown);
      // An operator moves the guest meanwhile, and decides.
      if (hasCode(thrown, 'GODWIT_GUEST_BUSY')) return;
      log.error({ id, guest, error }, 'guest cannot move back');
      this.keep(arrived.migration, afterRefusal(state, error.message, clock.wallMs()));
    }
  }
}

function arrivedBy(migration: Migration): GuestArrival | undefined {
  const { request } = migration;
  if (request.side !== 'destination') return undefined;
  const asked = request.admission.settings?.returnIfUnhealthy;
  return asked === undefined ? undefined : { migration, request, asked };
}
