import path from 'node:path';
import { systemClock } from '../../src/clock.ts';
import type { MoverProcesses } from '../../src/agent/processes/mover-process.ts';
import type { Migration } from '../../src/agent/migrations/store.ts';
import { silentLog } from '../../src/log.ts';
import { replaySource } from '../../src/migration/direct/journal.ts';
import { progressOf } from '../../src/migration/report/progress.ts';
import type { SourceEvent } from '../../src/migration/direct/source/source-state.ts';
import { openDestinationJournal, openSourceJournal } from '../../src/host/journal/journal.ts';
import { Live } from '../../src/mover/engine/live.ts';
import { moverContract } from '../../src/protocol/mover/contract.ts';
import { migrationSettings, type Progress } from '../../src/protocol/public/migration.ts';
import type { MoverState } from '../../src/protocol/mover/request.ts';
import { listenUnix, type Listening } from '../../src/rpc/listen.ts';
import { serve } from '../../src/rpc/server.ts';

interface FakeMover {
  readonly state: MoverState;
  readonly socket: Listening;
  readonly onExit: () => void;
  readonly live: Live;
  readonly write: (event: SourceEvent) => Promise<void>;
}

/** Movers inside the test's own process: they journal and answer, and move nothing. */
export class FakeMovers implements MoverProcesses {
  readonly started: string[] = [];
  readonly #movers = new Map<string, FakeMover>();
  /** Thrown by the next start, once. */
  failNext: Error | undefined;
  /** The next one dies once it has written its first record, before it says that it serves. */
  dieNext = false;

  async start(migration: Migration, onExit: () => void): Promise<MoverState> {
    this.started.push(migration.id);
    const failure = this.failNext;
    this.failNext = undefined;
    if (failure !== undefined) throw failure;
    const mover =
      migration.request.side === 'source'
        ? await openFakeSource(migration, onExit, (event) => this.#record(migration.id, event))
        : await openFakeDestination(migration, onExit);
    this.#movers.set(migration.id, mover);
    if (this.dieNext) {
      this.dieNext = false;
      await this.end(migration.id);
      throw new Error('it said nothing');
    }
    return mover.state;
  }

  find(migration: Migration): MoverState | undefined {
    return this.#movers.get(migration.id)?.state;
  }

  isStopped(): boolean {
    return false;
  }

  capLog(): Promise<void> {
    return Promise.resolve();
  }

  kill(mover: MoverState): void {
    for (const [id, { state }] of this.#movers) if (state === mover) void this.end(id);
  }

  /** The mover is gone, as if by SIGKILL. */
  async end(id: string): Promise<void> {
    const mover = this.#movers.get(id);
    this.#movers.delete(id);
    await mover?.socket.close();
    mover?.onExit();
  }

  /** Lets the source's mover undo what it has not done and end. */
  async fail(id: string): Promise<void> {
    await this.#record(id, { type: 'cancel' });
  }

  async closeAll(): Promise<void> {
    for (const { socket } of this.#movers.values()) await socket.close();
  }

  async #record(id: string, event: SourceEvent): Promise<void> {
    await this.#movers.get(id)?.write(event);
  }
}

async function openFakeSource(
  migration: Migration,
  onExit: () => void,
  record: (event: SourceEvent) => Promise<void>,
): Promise<FakeMover> {
  const { request, dir, id } = migration;
  if (request.side !== 'source') throw new Error('not a source');
  const { journal, events } = openSourceJournal(dir, systemClock);
  if (events.length === 0) {
    const planned = {
      type: 'planned',
      id,
      guest: request.request.guest,
      from: request.fromHost,
      to: request.toHost,
      epoch: 1,
      settings: migrationSettings.parse(request.request),
      bootId: 'boot',
    } as const;
    await journal.append(planned, 'later');
    events.push(planned);
  }
  const live = new Live(lineOf(events));
  const write = async (event: SourceEvent): Promise<void> => {
    for (let next: SourceEvent | undefined = event; next !== undefined; next = undoOf(events)) {
      await journal.append(next, 'later');
      events.push(next);
    }
    live.publish(lineOf(events));
  };
  const socket = await serveFake(dir, live, async () => {
    await record({ type: 'cancel' });
    return { accepted: true, what: 'it rolls back' };
  });
  return { state: stateOf(dir), socket, onExit, live, write };
}

/** What a mover would write next while it undoes. */
function undoOf(events: SourceEvent[]): SourceEvent | undefined {
  const doing = replaySource(events)?.doing;
  return doing?.kind === 'undo' ? { type: 'undid', step: doing.step } : undefined;
}

function lineOf(events: SourceEvent[]): Progress {
  const state = replaySource(events);
  if (state === undefined) throw new Error('no plan');
  return progressOf(state, undefined, 1);
}

async function openFakeDestination(migration: Migration, onExit: () => void): Promise<FakeMover> {
  const { request, dir, id } = migration;
  if (request.side !== 'destination') throw new Error('not a destination');
  const { journal, events } = openDestinationJournal(dir, systemClock);
  const { admission, toHost } = request;
  if (events.length === 0) {
    await journal.append({ type: 'admitted', admission, host: toHost }, 'later');
  }
  const { guest, from } = admission;
  const common = { id, guest, from, to: toHost, mode: 'precopy', phase: 'checking' } as const;
  const live = new Live({ ...common, elapsedMs: 0, percent: 0 });
  const socket = await serveFake(dir, live, () =>
    Promise.resolve({ accepted: false, what: 'ask the source' }),
  );
  const state = { ...stateOf(dir), address: '127.0.0.1:50000' };
  return { state, socket, onExit, live, write: () => Promise.resolve() };
}

async function serveFake(
  dir: string,
  live: Live,
  cancel: () => Promise<{ accepted: boolean; what: string }>,
): Promise<Listening> {
  const handlers = {
    progress: () => live.latest,
    events: ({ signal }: { signal: AbortSignal }) => live.follow(signal),
    cancel,
    resolve: () => ({ what: 'a fake mover does as it is told', proof: 'ask' as const }),
  };
  const listener = serve(moverContract, handlers, { name: 'mover', log: silentLog });
  return listenUnix(listener, path.join(dir, 'mover.sock'), { log: silentLog });
}

function stateOf(dir: string): MoverState {
  return { pid: process.pid, startTicks: 1, socket: path.join(dir, 'mover.sock') };
}
