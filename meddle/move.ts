/** The move of a run, with the operations of its plan at their moments. */
import { setTimeout as sleep } from 'node:timers/promises';
import { toGodwitError } from '../src/errors.ts';
import { isEnd } from '../src/protocol/public/end-phases.ts';
import type { Actor } from './actor.ts';
import type { Moment, Plan, Scene } from './plan.ts';
import type { Ground } from './ground.ts';
import type { Outcome } from './verdict.ts';
import type { Witness } from './witness.ts';

const MIB = 1024 ** 2;
const END_MS = 60_000;
const CANCEL_MS = 20_000;
/** What a guest writes in its slowest run goes over in less than that, so each move can come to its end. */
const MAX_DOWNTIME_MS = 1000;
const LOOK_MS = 10;
const POLL_MS = 50;

export interface MoveResult {
  readonly outcome: Outcome;
  readonly reason: string;
  readonly reportedAt: string | undefined;
  readonly unresolved: readonly string[];
  readonly warnings: readonly string[];
  /** What the report names as left on a host, each with the reason. */
  readonly leftovers: readonly string[];
  readonly wasCancelled?: boolean;
}

/** What the move itself reports, as far as moments depend on it. */
interface Course {
  phase: string;
  isOver: boolean;
}

export interface Players {
  readonly witness: Witness;
  readonly actor: Actor;
}

/** Moves the guest to the end, with the operations of the plan at their moments. */
export async function move(
  stage: Ground,
  plan: Plan,
  guest: string,
  players: Players,
): Promise<MoveResult> {
  const { actor } = players;
  const early = plan.operations.filter(({ moment }) => moment === 'before');
  for (const operation of early) await actor.perform(operation);
  const { mode, path: way, mibPerSecond } = plan.scene;
  const body = {
    guest,
    to: stage.to,
    mode,
    path: way,
    maxBandwidth: mibPerSecond * MIB,
    maxDowntimeMs: MAX_DOWNTIME_MS,
  };
  let id: string;
  try {
    ({ id } = await stage.agent(stage.from).migrate({ body }, { deadlineMs: 30_000 }));
  } catch (error) {
    const { code, message } = toGodwitError(error);
    return {
      outcome: 'refused',
      reason: `${code}: ${message}`,
      reportedAt: undefined,
      unresolved: [],
      warnings: [],
      leftovers: [],
    };
  }
  const course: Course = { phase: 'planned', isOver: false };
  const meddling = meddle(stage, plan, players, course);
  const isAtEnd = await follow(stage, id, course, END_MS);
  await meddling;
  // Memory that flows for too long is not wrong: the move is cancelled, and what is left of it is judged.
  const wasCancelled = !isAtEnd && course.phase === 'memory';
  if (wasCancelled) await stage.agent(stage.from).cancel({ params: { id } });
  if (isAtEnd || (wasCancelled && (await follow(stage, id, course, CANCEL_MS)))) {
    return { ...(await theEnd(stage, guest, id)), wasCancelled };
  }
  return {
    outcome: 'running',
    reason: course.phase,
    reportedAt: undefined,
    unresolved: [],
    warnings: [],
    leftovers: [],
  };
}

async function meddle(stage: Ground, plan: Plan, players: Players, course: Course): Promise<void> {
  for (const operation of plan.operations) {
    const { moment, afterMs } = operation;
    if (moment === 'before') continue;
    while (!isReached(moment, stage, players.witness, { ...course, mode: plan.scene.mode })) {
      if (course.isOver) break;
      await sleep(LOOK_MS);
    }
    if (course.isOver && moment !== 'after') continue;
    if (afterMs > 0) await sleep(afterMs);
    await players.actor.perform(operation);
  }
}

const SWITCH_PHASES = new Set(['switchover', 'handover', 'draining', 'verifying', 'cleanup']);
const MEMORY_PHASES = new Set(['memory', ...SWITCH_PHASES]);
const PREPARED_PHASES = new Set(['preparing', 'seeding', 'disks', ...MEMORY_PHASES]);
const SWITCHING = new Set(['pre-switchover', 'device', 'postcopy-active', 'completed']);

function isReached(
  moment: Moment,
  { from, to }: Ground,
  witness: Witness,
  { phase, mode }: Course & Pick<Scene, 'mode'>,
): boolean {
  const isCold = mode === 'cold' && SWITCH_PHASES.has(phase);
  const stream = (of: ReadonlySet<string>): boolean =>
    witness.saw(from, ({ event, data }) => event === 'MIGRATION' && of.has(String(data['status'])));
  switch (moment) {
    case 'before':
    case 'checks':
      return true;
    case 'prepare':
      return PREPARED_PHASES.has(phase) || witness.monitor(to) !== undefined;
    case 'memory':
      return stream(new Set(['active'])) || MEMORY_PHASES.has(phase);
    case 'round':
      return (
        witness.saw(
          from,
          ({ event, data }) => event === 'MIGRATION_PASS' && Number(data['pass']) >= 2,
        ) ||
        stream(SWITCHING) ||
        isCold
      );
    case 'switch':
      return stream(SWITCHING) || isCold;
    case 'after':
      return witness.saw(to, ({ event }) => event === 'RESUME');
  }
}

/** False if the move does not end in time. */
async function follow(stage: Ground, id: string, course: Course, endMs: number): Promise<boolean> {
  const start = performance.now();
  for (;;) {
    const { phase } = await stage.agent(stage.from).migration({ params: { id } });
    course.phase = phase;
    if (isEnd(phase)) course.isOver = true;
    else if (performance.now() - start > endMs) course.isOver = true;
    else {
      await sleep(POLL_MS);
      continue;
    }
    return isEnd(phase);
  }
}

async function theEnd(stage: Ground, guest: string, id: string): Promise<MoveResult> {
  const agent = stage.agent(stage.from);
  const report = await agent.report({ params: { id } });
  const { outcome, error, runsAt, checks, verified = [], leftovers = [] } = report;
  const doubtful = [...checks, ...verified].filter(({ verdict }) => verdict === 'warn');
  const warnings = doubtful.map(({ evidence }) => evidence);
  const reason = error === undefined ? '' : `${error.code}: ${error.message}`;
  const sides = {
    source: stage.from,
    destination: stage.to,
    unknown: undefined,
    nowhere: undefined,
  };
  const ended = {
    outcome: outcome as Outcome,
    reason,
    reportedAt: sides[runsAt],
    unresolved: [],
    warnings,
    leftovers: leftovers.map(({ code, message }) => `${code}: ${message}`),
  };
  return outcome === 'held' ? { ...ended, unresolved: await resolve(stage, guest, id) } : ended;
}

/** Answers as an operator does who has looked at both hosts; empty once an answer was accepted. */
async function resolve(stage: Ground, guest: string, id: string): Promise<string[]> {
  const agent = stage.agent(stage.from);
  const refused: string[] = [];
  const { answers, safe } = await agent.resolution({ params: { id } });
  const order = [...answers].toSorted((one) => (one.runAt === safe ? -1 : 1));
  for (const { runAt, verdict, why } of order) {
    if (verdict === 'wrong') {
      refused.push(`${runAt}: ${why}`);
      continue;
    }
    try {
      await agent.resolve(
        { params: { id }, body: { runAt, confirm: guest, iKnow: verdict !== 'safe' } },
        { deadlineMs: 30_000 },
      );
      return [];
    } catch (error) {
      const { code, message } = toGodwitError(error);
      refused.push(`${runAt} (${verdict}): ${code}: ${message}`);
    }
  }
  return refused;
}
