/** One managed migration, its manager, and movers that die; the time is pretended, so that a run takes moments. */
import type { AgentConfig } from '../../../src/config.ts';
import type { Clock } from '../../../src/clock.ts';
import { MANAGED_JOURNAL, open } from '../../../src/host/journal/journal.ts';
import type { JournalFile } from '../../../src/system/journal-file.ts';
import { FakeManager } from '../../../sim/fake/managed.ts';
import type { Dirtying, Misbehaviour } from '../../../sim/fake/manager-options.ts';
import { managedHandle } from '../../../sim/fake/managed-handle.ts';
import type { ManagedDriver, ManagedSession } from '../../../src/port/managed.ts';
import type { GodwitError } from '../../../src/errors.ts';
import { plainLog } from '../../../src/log.ts';
import type {
  CopiedDisk,
  ManagedOrder,
  TaskFigures,
} from '../../../src/migration/managed/task-sight.ts';
import type { ManagedState } from '../../../src/migration/managed/state.ts';
import { managedReport } from '../../../src/migration/managed/report.ts';
import { ManagedMover } from '../../../src/mover/managed/main.ts';
import type { ArrivalNotice } from '../../../src/mover/managed/arrival-notice.ts';
import type { Looks } from '../../../src/mover/managed/verification.ts';
import { PretendedClock } from './pretended-clock.ts';
import { wireOf } from './pretended-wire.ts';
import {
  type CancelAnswer,
  type EndPhase,
  migrationRequest,
  type MigrationRequest,
  type Report,
} from '../../../src/protocol/public/migration.ts';
import type { ManagedMoverRequest } from '../../../src/protocol/mover/request.ts';
import { Random } from '../../../sim/random.ts';

// Of the real time nothing is waited for here, least of all by movers that are dead: their deadlines must not keep the
// process from ending.
const { setTimeout: timer } = globalThis;
globalThis.setTimeout = Object.assign(
  (...given: Parameters<typeof timer>) => timer(...given).unref(),
  timer,
);

/** A journal's file that outlives the movers. */
class DurableJournal {
  bytes = Buffer.alloc(0);

  file(life: Life): JournalFile {
    return {
      read: () => Buffer.from(this.bytes),
      write: (line, at) => {
        if (life.point()) throw new Error('the mover is dead');
        this.bytes = Buffer.concat([this.bytes, line.subarray(at)]);
        if (life.point()) throw new Error('the mover is dead');
        return line.length - at;
      },
      truncate: (length) => {
        if (!life.dead) this.bytes = this.bytes.subarray(0, length);
      },
      sync: async () => {},
      close: () => {},
    };
  }
}

/** The life of one mover: it dies at a point of its own, before or after what it does there. */
class Life {
  readonly #diesAt: number;
  readonly #onDeath: () => void;
  points = 0;
  dead = false;

  constructor(diesAt: number, onDeath: () => void) {
    this.#diesAt = diesAt;
    this.#onDeath = onDeath;
  }

  point(): boolean {
    this.points += 1;
    if (!this.dead && this.points === this.#diesAt) {
      this.dead = true;
      this.#onDeath();
    }
    return this.dead;
  }

  /** What a dead mover waits for never comes. */
  async alive<T>(work: () => Promise<T>): Promise<T> {
    if (this.point()) return never();
    try {
      return await work();
    } finally {
      if (this.point()) await never();
    }
  }
}

const never = <T>(): Promise<T> => new Promise<T>(() => {});

export interface TrialOptions {
  readonly seed: number;
  readonly behaves?: Misbehaviour;
  readonly taskEnds?: 'done' | 'failed';
  readonly lagMs?: number;
  readonly listLagMs?: number;
  readonly taskMs?: number;
  readonly figures?: TaskFigures;
  /** The guest writes memory while it is sent. */
  readonly dirtying?: Dirtying;
  readonly asked?: Partial<MigrationRequest>;
  readonly timeoutMs?: number;
  /** What the agent of the destination answers to an announcement. */
  readonly notice?: Pick<ArrivalNotice, 'announce'>;
  /** At which of its points each mover dies, in order; the last one lives. */
  readonly deaths?: readonly number[];
  /** Files of disks that are copied. */
  readonly copied?: readonly string[];
  /** Files that somebody else has at the destination from the beginning. */
  readonly others?: readonly string[];
  /** Memory takes a pretended wire, which cannot be opened where it is `closed`, nor swept where it is `stuck`. */
  readonly wire?: 'open' | 'closed' | 'stuck';
  /** What the manager's first answers are once it is asked to tidy: it rejects with these. */
  readonly leaves?: readonly GodwitError[];
  readonly verification?: Looks;
  readonly hooks?: AgentConfig['hooks'];
  /** Caps by the time of day. */
  readonly bandwidth?: AgentConfig['limits']['bandwidth'];
  /** Pretended ms after which somebody cancels; each mover is asked so long after it began. */
  readonly cancelAfterMs?: number | readonly number[];
}

export interface Outcome {
  readonly outcome: EndPhase;
  readonly report: Report;
  readonly state: ManagedState;
  /** How long it took in all, pretended ms. */
  readonly tookMs: number;
  readonly calls: FakeManager['calls'];
  readonly cancels: readonly CancelAnswer[];
  /** As the manager was ordered first. */
  readonly order: ManagedOrder | undefined;
  /** Tasks that the manager ever started. */
  readonly tasks: number;
  /** Files at the destination, and who made them. */
  readonly volumes: Readonly<Record<string, string>>;
  /** Where the guest really runs. */
  readonly at: string | undefined;
  /** The wire's, left at the source. */
  readonly sockets: number;
  /** Points at which the last mover could have died. */
  readonly points: number;
}

export const REQUEST: ManagedMoverRequest = {
  version: 2,
  lifecycle: 'managed',
  id: 'm-00000001',
  side: 'source',
  fromHost: 'a',
  toHost: 'b',
  createdAt: new Date(1_800_000_000_000).toISOString(),
  request: migrationRequest.parse({ guest: 'web1', to: 'b' }),
  handle: managedHandle('web1'),
  memoryBytes: 0,
};

/** Runs one migration to its end, over as many movers as it takes. */
export async function runTrial(options: TrialOptions): Promise<Outcome> {
  const clock = new PretendedClock();
  const random = new Random(options.seed);
  const { behaves, taskEnds, lagMs, listLagMs, taskMs, figures, timeoutMs = 60_000 } = options;
  const { copied = [], others = [] } = options;
  const path = options.wire === undefined ? {} : ({ path: 'wire' } as const);
  const request = {
    ...REQUEST,
    request: { ...REQUEST.request, timeoutMs, ...path, ...options.asked },
  };
  const sockets = new Set<number>();
  const manager = new FakeManager({
    clock,
    random: () => random.next(),
    ...(behaves === undefined ? {} : { behaves }),
    ...(taskEnds === undefined ? {} : { taskEnds }),
    ...(lagMs === undefined ? {} : { lagMs }),
    ...(listLagMs === undefined ? {} : { listLagMs }),
    ...(taskMs === undefined ? {} : { taskMs }),
    ...(figures === undefined ? {} : { figures }),
    ...(options.dirtying && { dirtying: options.dirtying }),
    copies: copied.map(copyOf),
  });
  manager.guests.set('web1', 'a');
  for (const file of others) manager.volumes.set(`b:${file}`, 'somebody else');
  const leaves = [...(options.leaves ?? [])];
  const kept = new DurableJournal();
  const cancels: CancelAnswer[] = [];
  for (const [index, diesAt] of [...(options.deaths ?? []), Infinity].entries()) {
    const died = Promise.withResolvers<undefined>();
    const life = new Life(diesAt, () => died.resolve(undefined));
    const mover = new ManagedMover('', request, mortal(manager.driver('a'), life, leaves), {
      config: {
        name: 'a',
        stateDir: '/nonexistent',
        limits: { bandwidth: options.bandwidth ?? [] },
        ...(options.hooks && { hooks: options.hooks }),
      },
      verification: options.verification,
      notice: options.notice,
      clock: mortalClock(clock, life),
      log: plainLog(() => {}, 'error', {}),
      pid: index,
      openFile: () => kept.file(life),
      ...wireOf(options.wire, life, index, sockets),
    });
    for (const afterMs of [options.cancelAfterMs ?? []].flat()) {
      cancelLater(mover, clock, afterMs, (answer) => cancels.push(answer));
    }
    const run = mover.run();
    run.catch(() => {});
    const outcome = await Promise.race([run, died.promise]);
    if (outcome === undefined) continue;
    const { records } = open(
      'journal',
      kept.file(new Life(Infinity, () => {})),
      MANAGED_JOURNAL,
      clock,
    );
    const report = managedReport(records, clock.wallMs());
    if (report === undefined) throw new Error('there is no report');
    const tookMs = clock.monotonicMs();
    // What was given up and comes late has had its time.
    await clock.sleep(60_000);
    manager.turn();
    return {
      outcome,
      report,
      state: mover.state,
      tookMs,
      calls: manager.calls,
      cancels,
      order: manager.tasks[0]?.order,
      tasks: manager.tasks.length,
      at: manager.guests.get('web1'),
      volumes: Object.fromEntries(manager.volumes),
      points: life.points,
      sockets: sockets.size,
    };
  }
  throw new Error('no mover lived');
}

const copyOf = (file: string, index: number): CopiedDisk => {
  return { name: `vd${index}`, file, format: 'raw', sizeBytes: 1024, place: 'd' };
};

function cancelLater(
  mover: ManagedMover,
  clock: Clock,
  afterMs: number,
  heard: (answer: CancelAnswer) => void,
): void {
  clock
    .sleep(afterMs)
    .then(() => mover.cancel())
    .then(heard)
    .catch(() => {});
}

function mortal(driver: ManagedDriver, life: Life, leaves: GodwitError[]): ManagedDriver {
  const session = (opened: ManagedSession): ManagedSession => ({
    settlesMs: opened.settlesMs,
    inspect: (signal) => life.alive(() => opened.inspect(signal)),
    measure: (signal) => life.alive(async () => opened.measure?.(signal) ?? never()),
    check: (order, signal) => life.alive(() => opened.check(order, signal)),
    copies: (order, signal) => life.alive(async () => (await opened.copies?.(order, signal)) ?? []),
    prepare: (order, signal) => life.alive(async () => opened.prepare?.(order, signal)),
    unprepare: (order, isOrdered, signal) =>
      life.alive(async () => opened.unprepare?.(order, isOrdered, signal)),
    start: (order, signal) => life.alive(() => opened.start(order, signal)),
    look: (order, signal) => life.alive(() => opened.look(order, signal)),
    steer: (order, change, signal) => life.alive(async () => opened.steer?.(order, change, signal)),
    where: (order, signal) => life.alive(() => opened.where(order, signal)),
    cancel: (order, signal) => life.alive(() => opened.cancel(order, signal)),
    finish: (order, signal) =>
      life.alive(async () => {
        const left = leaves.shift();
        if (left !== undefined) throw left;
        await opened.finish(order, signal);
      }),
    close: () => opened.close(),
  });
  return Object.assign(Object.create(driver) as ManagedDriver, {
    openManaged: async (...given: Parameters<ManagedDriver['openManaged']>) =>
      session(await driver.openManaged(...given)),
  });
}

function mortalClock(clock: Clock, life: Life): Clock {
  return {
    wallMs: () => clock.wallMs(),
    monotonicMs: () => clock.monotonicMs(),
    sleep: async (ms, signal) => {
      await clock.sleep(ms, signal);
      if (life.dead) await never();
    },
  };
}
