import type { Phase, Progress, Report } from '../../protocol/public/migration.ts';
import { isEnd } from '../../protocol/public/migration.ts';
import type { ManagedRecord } from './events.ts';
import { replayManaged } from './journal.ts';
import { managedPhase, managedRunsAt } from './lifecycle.ts';
import type { ManagedState } from './lifecycle.ts';

/** Bounds of the report's lists (protocol/public/migration.ts). */
const MOST_CHECKS = 256;
const MOST_PHASES = 64;
const MOST_DECISIONS = 1000;

/** The live view's line for a state. */
export function managedProgress(state: ManagedState, elapsedMs: number): Progress {
  const { id, guest, from, to, settings } = state.plan;
  const phase = managedPhase(state);
  return {
    id,
    guest,
    from,
    to,
    mode: settings.mode,
    phase,
    elapsedMs,
    percent: phase === 'done' ? 100 : (state.percent ?? 0),
    ...(state.because === undefined ? {} : { error: state.because }),
  };
}

/**
 * The report of a managed migration, from its journal alone, in the same words as a direct one's. What only the manager
 * knows and does not tell (bytes, downtime) is not guessed. Undefined without records.
 */
export function managedReport(
  records: readonly ManagedRecord[],
  nowMs: number,
): Report | undefined {
  const [first] = records;
  const state = replayManaged(records.map(({ event }) => event));
  if (first?.event.type !== 'planned' || state === undefined) return undefined;
  const { id, guest, from, to, settings } = state.plan;
  const startedAt = Math.min(first.event.askedAtMs ?? first.at, first.at);
  const phase = managedPhase(state);
  const endAt = isEnd(phase) ? (records.at(-1)?.at ?? nowMs) : nowMs;
  return {
    id,
    guest,
    from,
    to,
    mode: settings.mode,
    settings,
    outcome: isEnd(phase) ? phase : 'running',
    phase,
    finished: phase === 'done' ? 'precopy' : 'none',
    startedAt: new Date(startedAt).toISOString(),
    ...(isEnd(phase) ? { endedAt: new Date(endAt).toISOString() } : {}),
    totalMs: Math.max(0, endAt - startedAt),
    bytes: 0,
    rounds: 0,
    throughput: 0,
    memoryBytes: state.memoryBytes ?? 0,
    pageRequests: 0,
    roundList: [],
    phases: phasesOf(records, startedAt, endAt).slice(0, MOST_PHASES),
    checks: state.checks.slice(0, MOST_CHECKS),
    decisions: decisionsOf(records, startedAt).slice(0, MOST_DECISIONS),
    takeovers: records.filter(({ event }) => event.type === 'taken-over').length,
    ...(state.because === undefined ? {} : { error: state.because }),
    runsAt: managedRunsAt(state),
  };
}

function phasesOf(
  records: readonly ManagedRecord[],
  startedAt: number,
  endAt: number,
): Report['phases'] {
  const phases: { phase: Phase; ms: number }[] = [];
  let since = startedAt;
  let before: Phase | undefined;
  for (const [index, { at }] of records.entries()) {
    const state = replayManaged(records.slice(0, index + 1).map(({ event }) => event));
    const phase = state === undefined ? undefined : managedPhase(state);
    if (phase === before) continue;
    if (before !== undefined) phases.push({ phase: before, ms: Math.max(0, at - since) });
    since = before === undefined ? startedAt : at;
    before = phase;
  }
  if (before !== undefined && !isEnd(before)) {
    phases.push({ phase: before, ms: Math.max(0, endAt - since) });
  }
  return phases;
}

/** What was done about the manager, and what it said. */
function decisionsOf(records: readonly ManagedRecord[], startedAt: number): Report['decisions'] {
  return records.flatMap(({ at, event }) => {
    const what = wordsOf(event);
    return what === undefined ? [] : [{ atMs: Math.max(0, at - startedAt), what }];
  });
}

function wordsOf(event: ManagedRecord['event']): string | undefined {
  switch (event.type) {
    case 'ordered':
      return 'the manager was ordered to move it';
    case 'accepted':
      return 'the manager accepted the order';
    case 'unanswered':
      return 'the manager did not answer the order; it is not sent again';
    case 'settled':
      return 'the order can begin nothing any more';
    case 'saw':
      return event.task.state === 'running' ? undefined : `the manager’s task: ${event.task.state}`;
    case 'found':
      return `the manager says that the guest is at: ${event.where.at}`;
    case 'cancel':
      return 'a cancel was asked for';
    default:
      return undefined;
  }
}
