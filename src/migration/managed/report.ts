import { defined } from '../../protocol/defined.ts';
import {
  isEnd,
  MAX_CHECKS,
  MAX_LEFTOVERS,
  MAX_PHASES,
  MAX_ROUNDS,
  type Phase,
  type Progress,
  type Report,
} from '../../protocol/public/migration.ts';
import type { ManagedRecord } from './events.ts';
import { addDiskLink } from '../report/disk-figures.ts';
import { addWire } from '../report/wire-figures.ts';
import { waitWords } from '../waits.ts';
import { boundedDecisions, decisionOf } from '../report/decision.ts';
import { managedAfter, replayManaged } from './journal.ts';
import { managedPhase } from './lifecycle.ts';
import { managedRunsAt, type ManagedState } from './state.ts';

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
    ...(state.sample !== undefined && phase === 'memory' ? { sample: state.sample } : {}),
    ...noteOf(state),
    ...defined({ error: state.because }),
  };
}

function noteOf(state: ManagedState): { note?: string } {
  const { plan, doing, cancelling, task, percent, steering } = state;
  if (doing.kind !== 'do') return {};
  if (doing.step === 'wait') return { note: waitWords(plan.settings) };
  if (cancelling && doing.step !== 'finish')
    return { note: 'its manager is asked to end the task' };
  if (doing.step === 'watch' && steering?.last !== undefined) return { note: steering.last };
  if (doing.step !== 'watch' || percent !== undefined) return {};
  return { note: task === 'running' ? 'its manager reports no progress' : 'waiting for its task' };
}

const UNPREDICTED = 'a manager moves it, and no plan predicted it within ten minutes before';

/**
 * Report from the journal alone, in the terms of a direct migration's report. Figures that the manager does not
 * report (bytes, rounds, downtime) are absent. Undefined without records.
 */
export function managedReport(
  records: readonly ManagedRecord[],
  nowMs: number,
): Report | undefined {
  const [first] = records;
  const state = replayManaged(records.map(({ event }) => event));
  if (first?.event.type !== 'planned' || state === undefined) return undefined;
  const { id, guest, from, to, settings } = state.plan;
  const { prediction } = first.event;
  const unpredicted = settings.mode === 'cold' ? {} : { unpredicted: UNPREDICTED };
  const startedAt = Math.min(first.event.askedAtMs ?? first.at, first.at);
  const phase = managedPhase(state);
  const endAt = isEnd(phase) ? (records.at(-1)?.at ?? nowMs) : nowMs;
  const phases = phasesOf(records, startedAt, endAt);
  return {
    id,
    guest,
    from,
    to,
    mode: settings.mode,
    settings,
    outcome: isEnd(phase) ? phase : 'running',
    phase,
    finished: phase === 'done' ? (state.figures.finished ?? 'unknown') : 'none',
    startedAt: new Date(startedAt).toISOString(),
    ...(isEnd(phase) ? { endedAt: new Date(endAt).toISOString() } : {}),
    totalMs: Math.max(0, endAt - startedAt),
    ...(prediction === undefined ? unpredicted : { prediction }),
    ...reported(state, phases),
    ...wireOf(records),
    roundList: roundsOf(records, startedAt).slice(-MAX_ROUNDS),
    phases: phases.slice(0, MAX_PHASES),
    checks: state.checks.slice(0, MAX_CHECKS),
    ...(state.verified.length === 0 ? {} : { verified: [...state.verified] }),
    ...(state.vantages.length === 0 ? {} : { vantages: [...state.vantages] }),
    decisions: boundedDecisions(decisionsOf(records, startedAt)),
    takeovers: records.filter(({ event }) => event.type === 'taken-over').length,
    ...defined({ error: state.because }),
    ...(state.leftovers.length === 0 ? {} : { leftovers: state.leftovers.slice(0, MAX_LEFTOVERS) }),
    runsAt: managedRunsAt(state),
  };
}

function reported(
  { figures, memoryBytes }: ManagedState,
  phases: Report['phases'],
): Pick<Report, 'bytes' | 'rounds' | 'throughput' | 'pageRequests' | 'memoryBytes' | 'downtimeMs'> {
  const { sentBytes: bytes, rounds, downtimeMs, pageRequests } = figures;
  const memoryMs = phases.reduce((sum, { phase, ms }) => sum + (phase === 'memory' ? ms : 0), 0);
  const isKnown = bytes !== undefined && memoryMs > 0;
  return {
    ...defined({ bytes, rounds }),
    ...(isKnown ? { throughput: Math.round((bytes * 1000) / memoryMs) } : {}),
    ...defined({ pageRequests, downtimeMs, memoryBytes }),
  };
}

function wireOf(records: readonly ManagedRecord[]): Pick<Report, 'wire' | 'diskLink'> {
  let wire: Report['wire'];
  let diskLink: Report['diskLink'];
  for (const { event } of records) {
    if (event.type !== 'wire') continue;
    wire = addWire(wire, event.figures);
    if (event.disks !== undefined) diskLink = addDiskLink(diskLink, event.disks);
  }
  return {
    ...defined({ wire, diskLink }),
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
  let state: ManagedState | undefined;
  for (const { at, event } of records) {
    state = managedAfter(state, event);
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

/** The first look in a round gives the figures of the round before. */
function roundsOf(records: readonly ManagedRecord[], startedAt: number): Report['roundList'] {
  let last = 1;
  return records.flatMap(({ at, event }) => {
    if (event.type !== 'saw' || event.task.state !== 'running') return [];
    const { memory, postcopy } = event.task;
    if (memory === undefined || postcopy === true || memory.round <= last) return [];
    const ended = memory.round - 1;
    last = memory.round;
    const { transferredBytes, remainingBytes, rate, dirtyRate, throttlePercent } = memory;
    const throttle = throttlePercent === undefined ? {} : { throttlePercent };
    const figures = { transferredBytes, remainingBytes, rate, dirtyRate, ...throttle };
    return [{ round: ended, atMs: Math.max(0, at - startedAt), ...figures }];
  });
}

function decisionsOf(records: readonly ManagedRecord[], startedAt: number): Report['decisions'] {
  const [first] = records;
  const isStorage = first?.event.type === 'planned' && first.event.from === first.event.to;
  return records.flatMap(({ at, event }) => {
    if (event.type === 'decided') return [decisionOf(event, Math.max(0, at - startedAt))];
    const what = wordsOf(event, isStorage);
    return what === undefined ? [] : [{ atMs: Math.max(0, at - startedAt), what }];
  });
}

function wordsOf(event: ManagedRecord['event'], isStorage: boolean): string | undefined {
  switch (event.type) {
    case 'did':
      return event.facts.waited;
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
      return `the manager says that ${isStorage ? 'its storage' : 'the guest'} is at: ${event.where.at}`;
    case 'wire':
      return event.why === undefined ? undefined : `the wire ended: ${event.why}`;
    case 'undone':
      return event.error === undefined
        ? (event.found ?? 'what was made at the destination is removed')
        : `what was made at the destination may be left: ${event.error.message}`;
    case 'unset':
      return `its manager did not: ${event.error.message}`.slice(0, 1024);
    case 'cancel':
      return 'a cancel was asked for';
    case 'resolved':
      return `${event.by} resolved it to run at the ${event.runAt} (${
        event.proof === 'ask' ? 'by its manager’s answer' : 'on a person’s decision alone'
      })`;
    default:
      return undefined;
  }
}
