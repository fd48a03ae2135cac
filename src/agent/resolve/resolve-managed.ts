import path from 'node:path';
import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { withDeadline } from '../../deadline.ts';
import type { ManagedDriver } from '../../port/managed.ts';
import { isManaged, type Driver } from '../../drivers/registry.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { MANAGED_JOURNAL, open, readJournals } from '../../host/journal/journal.ts';
import { openJournalFile } from '../../system/journal-file.ts';
import { orderOf, type ManagedEvent } from '../../migration/managed/events.ts';
import { replayManaged } from '../../migration/managed/journal.ts';
import { judgeManaged, type ManagerWord } from '../../migration/managed/resolution.ts';
import { whereabouts } from '../../migration/managed/task-sight.ts';
import { safeAnswer } from '../../migration/direct/operator/resolution.ts';
import { defined } from '../../protocol/defined.ts';
import { journalFile, type ManagedMoverRequest } from '../../protocol/mover/request.ts';
import { isEnd } from '../../protocol/public/migration.ts';
import type { Resolution, ResolveAnswer, ResolveRequest } from '../../protocol/public/resolve.ts';
import { driverOf } from '../processes/hypervisor-life.ts';
import type { MoverProcesses } from '../processes/mover-process.ts';
import { confirmed, OUTDATED, refusal, type OperatorOrder } from './resolve-answers.ts';
import { lockWhenFree } from './resolve-lock.ts';
import type { Migration, MigrationStore } from '../migrations/store.ts';
import type { Supervisor } from '../processes/supervision.ts';

/** Less than a caller waits, ms. */
const LOOK_MS = 15_000;

export interface ManagedResolveDependencies {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: MigrationStore;
  readonly drivers: readonly Driver[];
  readonly movers: MoverProcesses;
  readonly supervisor: Supervisor;
}

type ManagedMigration = Migration & { readonly request: ManagedMoverRequest };

export class ManagedResolve {
  readonly #deps: ManagedResolveDependencies;

  constructor(deps: ManagedResolveDependencies) {
    this.#deps = deps;
  }

  async show(migration: ManagedMigration): Promise<Resolution> {
    return (await this.#look(migration)).known;
  }

  async #look(
    { id, dir, request }: ManagedMigration,
    signal?: AbortSignal,
  ): Promise<{ readonly known: Resolution; readonly records: number }> {
    const { store, config, movers } = this.#deps;
    const records = readJournals(dir).managed.length;
    const { guest, phase, error } = store.progress(id);
    const { fromHost: from, toHost: to } = request;
    const word = await this.#ask({ dir, request }, signal);
    const answers = judgeManaged({ guest, from, to }, word);
    const safe = safeAnswer(answers);
    const isThere = 'at' in word && word.at === 'source';
    const known: Resolution = {
      id,
      guest,
      from,
      to,
      here: {
        id,
        guest,
        host: config.name,
        side: 'source',
        phase,
        right: 'none',
        hypervisor: isThere ? 'running' : 'unknown',
        complete: false,
        postcopy: false,
        unsure: !('at' in word),
        moverAlive: movers.find({ id, dir, request }) !== undefined,
        ...defined({ error }),
      },
      manager: 'at' in word ? word : { at: 'unknown', why: word.why },
      fencing: false,
      answers,
      ...defined({ safe }),
    };
    return { known, records };
  }

  async resolve(
    migration: ManagedMigration,
    asked: ResolveRequest,
    { by, signal, inTurn }: OperatorOrder,
  ): Promise<ResolveAnswer> {
    const { store, supervisor, log } = this.#deps;
    const { id } = migration;
    const { known, records } = await this.#look(migration, signal);
    const answer = confirmed(known, asked);
    const { runAt } = asked;
    // The manager decides who runs the guest, and `judgeManaged` never answers `elsewhere`.
    if (runAt === 'elsewhere') throw refusal(known, runAt, 'its manager decides who runs it');
    const { phase, moverAlive } = known.here;
    if (!isEnd(phase)) {
      if (moverAlive) throw refusal(known, asked.runAt, `it still goes on by itself (${phase})`);
      supervisor.again(id);
      await supervisor.ensure(migration);
      return { what: `a new mover goes on with ${id}`, proof: 'ask' };
    }
    if (phase !== 'held') throw refusal(known, asked.runAt, `it is ${phase}`);
    if (answer.verdict === 'waits') throw refusal(known, asked.runAt, answer.why);
    const proof = answer.verdict === 'safe' ? 'ask' : 'operator';
    if (proof === 'operator' && !asked.iKnow) {
      const facts = { guest: known.guest, reason: answer.why };
      const hint =
        'Find the host that runs it with its manager. Then repeat the command with --yes-i-know.';
      throw godwitError('GODWIT_RESOLVE_UNPROVED', facts, { hint });
    }
    const event = { type: 'resolved', runAt, proof, by: by.slice(0, 128) } as const;
    await inTurn(async () => {
      log.warn({ id, by, proof, runAt: asked.runAt }, 'migration resolved');
      await this.#journal(migration, event, { known, records });
      store.reopen(id);
      await supervisor.ensure(migration);
    });
    const host = asked.runAt === 'source' ? known.from : known.to;
    const asks = `its manager says that ${known.guest} is at ${host}, and is asked once more`;
    const what = proof === 'ask' ? asks : `it is recorded that ${known.guest} runs at ${host}`;
    return { what, proof };
  }

  async #ask(
    { dir, request }: Pick<ManagedMigration, 'dir' | 'request'>,
    outer: AbortSignal | undefined,
  ): Promise<ManagerWord> {
    const driver = this.#driver(request);
    const state = replayManaged(readJournals(dir).managed.map(({ event }) => event));
    if (driver === undefined) return { why: `this host has no driver ${request.handle.driver}` };
    if (state === undefined) return { why: 'it never began' };
    try {
      return await withDeadline('the answer of the manager', LOOK_MS, outer, async (signal) => {
        const session = await driver.openManaged(request.handle, signal);
        try {
          return whereabouts.parse(await session.where(orderOf(state.plan, state.copies), signal));
        } finally {
          await session.close();
        }
      });
    } catch (thrown) {
      outer?.throwIfAborted();
      return { why: toGodwitError(thrown).message.slice(0, 1024) };
    }
  }

  #driver({ handle }: ManagedMoverRequest): ManagedDriver | undefined {
    const driver = driverOf(this.#deps.drivers, handle);
    return driver !== undefined && isManaged(driver) ? driver : undefined;
  }

  /** Under the lock of a mover: none runs now, and none may begin. */
  async #journal(
    migration: ManagedMigration,
    event: Extract<ManagedEvent, { type: 'resolved' }>,
    { known, records }: { readonly known: Resolution; readonly records: number },
  ): Promise<void> {
    const { clock, config } = this.#deps;
    const lock = await lockWhenFree(migration, clock, config.name);
    try {
      const file = path.join(migration.dir, journalFile('managed'));
      const { journal, events } = open(file, openJournalFile(file), MANAGED_JOURNAL, clock);
      try {
        const doing = replayManaged(events)?.doing;
        const isHeld = doing?.kind === 'end' && doing.outcome === 'held';
        if (!isHeld) throw refusal(known, event.runAt, 'it is not held any more');
        if (events.length !== records) throw refusal(known, event.runAt, OUTDATED);
        await journal.append(event, 'sync');
      } finally {
        await journal.close();
      }
    } finally {
      lock.release();
    }
  }
}
