import type { Clock } from '../../clock.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { defined } from '../../protocol/defined.ts';
import { moverContract } from '../../protocol/mover/contract.ts';
import {
  type CancelAnswer,
  isEnd,
  type MigrationSummary,
  type Progress,
} from '../../protocol/public/migration.ts';
import { pageOf, type PageAsked } from '../../protocol/public/page.ts';
import type { MoverState } from '../../protocol/mover/request.ts';
import { client } from '../../rpc/client.ts';
import { guestOf } from '../guests/guests.ts';
import type { MoverProcesses } from '../processes/mover-process.ts';
import type { Migration, MigrationStore } from './store.ts';
import type { Supervisor } from '../processes/supervision.ts';

const ANSWER_MS = 3000;
const AGAIN_MS = 200;

export interface FollowDependencies {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: MigrationStore;
  readonly movers: MoverProcesses;
  readonly supervisor: Supervisor;
}

export class Follow {
  readonly #deps: FollowDependencies;

  constructor(deps: FollowDependencies) {
    this.#deps = deps;
  }

  async progress(id: string): Promise<Progress> {
    const { store, movers } = this.#deps;
    const mover = movers.find(store.need(id));
    if (mover === undefined || store.isEnded(id)) return this.#fromJournal(id);
    try {
      return await ask(mover, (api) => api.progress({}, { deadlineMs: ANSWER_MS }));
    } catch (thrown) {
      this.#deps.log.debug({ id, error: toGodwitError(thrown) }, 'mover does not answer');
      return this.#fromJournal(id);
    }
  }

  async *events(id: string, signal: AbortSignal): AsyncGenerator<Progress, void, undefined> {
    const { store, movers, clock } = this.#deps;
    const migration = store.need(id);
    while (!signal.aborted) {
      const mover = store.isEnded(id) ? undefined : movers.find(migration);
      if (mover !== undefined) {
        for await (const line of this.#lines(id, mover, signal)) {
          yield line;
          if (isEnd(line.phase)) return;
        }
      }
      const line = this.#fromJournal(id);
      yield line;
      if (isEnd(line.phase)) return;
      await clock.sleep(AGAIN_MS, signal).catch(() => {});
    }
  }

  /** Answers at once with the consequence. A migration without a mover gets one first. */
  async cancel(id: string): Promise<CancelAnswer> {
    const { store, supervisor } = this.#deps;
    const migration = store.need(id);
    if (store.isEnded(id)) {
      const { phase } = store.progress(id);
      return { accepted: false, what: `${id} has ended already: ${phase}` };
    }
    const mover = await supervisor.ensure(migration);
    return ask(mover, (api) => api.cancel({}, { deadlineMs: ANSWER_MS }));
  }

  async list(asked: PageAsked): Promise<{ migrations: MigrationSummary[]; next?: string }> {
    const { items, next } = pageOf(
      this.#deps.store.all(),
      ({ id, request }) => [request.createdAt, id],
      asked,
      'last to first',
    );
    const migrations = await Promise.all(items.map(({ id }) => this.one(id)));
    return { migrations, ...defined({ next }) };
  }

  async one(id: string): Promise<MigrationSummary> {
    const { store, movers } = this.#deps;
    const migration = store.need(id);
    const request = requestOf(migration);
    return {
      ...(await this.progress(id)),
      ...defined({ request }),
      side: migration.request.side,
      startedAt: migration.request.createdAt,
      moverAlive: movers.find(migration) !== undefined,
    };
  }

  #fromJournal(id: string): Progress {
    const { store, supervisor } = this.#deps;
    const progress = store.progress(id);
    if (isEnd(progress.phase)) return progress;
    return { ...progress, note: supervisor.leftBecause(id) ?? 'a mover is being started' };
  }

  async *#lines(id: string, mover: MoverState, signal: AbortSignal): AsyncGenerator<Progress> {
    const { api, close } = client(moverContract, { unix: mover.socket });
    try {
      yield* api.events({}, { signal });
    } catch (thrown) {
      this.#deps.log.debug({ id, error: toGodwitError(thrown) }, 'mover stopped reporting');
    } finally {
      close();
    }
  }
}

const requestOf = ({ request }: Migration): string | undefined =>
  request.side === 'source' ? request.fleetRequest : undefined;

/** A caller that cancels such a move also takes the guest out of the request, and must name the request. */
export function mustName(migration: Migration, named: readonly (string | undefined)[]): void {
  const request = requestOf(migration);
  if (request === undefined || named.includes(request)) return;
  const facts = { id: migration.id, request, guest: guestOf(migration) };
  throw godwitError('GODWIT_MIGRATION_OF_REQUEST', facts);
}

async function ask<T>(
  mover: MoverState,
  call: (api: ReturnType<typeof client<typeof moverContract>>['api']) => Promise<T>,
): Promise<T> {
  const { api, close } = client(moverContract, { unix: mover.socket });
  try {
    return await call(api);
  } finally {
    close();
  }
}
