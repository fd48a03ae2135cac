import { defined } from '../../protocol/defined.ts';
import { withHalt } from '../../protocol/guest-halt.ts';
import type { DiskLink } from '../../protocol/disk.ts';
import {
  MAX_CHECKS,
  MAX_LEFTOVERS,
  MAX_ROUNDS,
  type ChosenStream,
  type MemorySample,
  type Phase,
  type Report,
} from '../../protocol/public/migration.ts';
import type { WireReport } from '../../protocol/wire.ts';
import { blackoutParts, marksAfter, type Marks } from './blackout.ts';
import { addDiskLink } from './disk-figures.ts';
import type { SourceRecord } from '../direct/journal.ts';
import {
  initialSource,
  phaseOf,
  type SourceEvent,
  type SourceState,
} from '../direct/source/source-state.ts';
import { seenElsewhere } from './probes.ts';
import { rehearsalOf, standAfter, type Stand } from './rehearsal.ts';
import { addWire } from './wire-figures.ts';
import {
  NO_STALLS,
  stallNews,
  stallsAfter,
  stallsUntil,
  type Stalls,
} from '../steering/standstill.ts';
import { transition } from '../direct/source/transition.ts';
import { compressionText } from '../../protocol/public/compression-text.ts';
import { boundedDecisions, cappedWords, decisionOf } from './decision.ts';

interface Walk {
  state: SourceState | undefined;
  phases: { phase: Phase; ms: number }[];
  rounds: Report['roundList'];
  decisions: Report['decisions'];
  takeovers: number;
  marks: Marks;
  stand: Stand;
  memoryAt: number | undefined;
  memoryEndedAt: number | undefined;
  sample: MemorySample | undefined;
  final: MemorySample | undefined;
  endedAt: number | undefined;
  stalls: Stalls;
  restartedAt: number | undefined;
  stream: ChosenStream | undefined;
  wire: WireReport | undefined;
  diskLink: DiskLink | undefined;
  enteredAt: number;
}

/** Prediction of a plan, or of the mover just before memory moved. */
function predictedOf(
  planned: Report['prediction'],
  { known }: Pick<SourceState, 'known'>,
): Pick<Report, 'prediction' | 'unpredicted'> {
  const { prediction = planned, unpredicted } = known;
  if (prediction !== undefined) return { prediction };
  return unpredicted === undefined ? {} : { unpredicted };
}

/** The source's report, from its journal alone. `nowMs`: wall clock. Undefined without records. */
export function reportOf(records: readonly SourceRecord[], nowMs: number): Report | undefined {
  const first = records[0];
  if (first === undefined || first.event.type !== 'planned') return undefined;
  const startedAt = Math.min(first.event.askedAtMs ?? first.at, first.at);
  const walk = walkJournal(records, startedAt);
  const state = walk.state;
  if (state === undefined) return undefined;
  const phase = phaseOf(state);
  const ended = state.doing.kind === 'end';
  const endAt = walk.endedAt ?? nowMs;
  if (!ended) closePhase(walk, phase, walk.enteredAt, endAt);
  const best = walk.final ?? walk.sample;
  const rehearsal = rehearsalOf(state, best, walk.stand);
  const memoryMs = (walk.memoryEndedAt ?? endAt) - (walk.memoryAt ?? endAt);
  return {
    ...identity(state),
    side: 'source',
    ...predictedOf(first.event.prediction, state),
    outcome: state.doing.kind === 'end' ? state.doing.outcome : 'running',
    ...defined({ rehearsal }),
    phase,
    finished: walk.marks.ran === undefined || state.via === 'none' ? 'none' : state.via,
    startedAt: new Date(startedAt).toISOString(),
    ...(ended ? { endedAt: new Date(endAt).toISOString() } : {}),
    totalMs: Math.max(0, endAt - startedAt),
    ...(best?.downtimeMs === undefined ? {} : { downtimeMs: best.downtimeMs }),
    ...blackout(walk),
    ...seenElsewhere(state),
    ...standstills(walk, endAt),
    bytes: best?.transferredBytes ?? 0,
    rounds: best?.round ?? 0,
    throughput: memoryMs > 0 ? Math.round(((best?.transferredBytes ?? 0) * 1000) / memoryMs) : 0,
    memoryBytes: state.known.description?.memoryBytes ?? 0,
    pageRequests: best?.pageRequests ?? 0,
    roundList: walk.rounds.slice(-MAX_ROUNDS),
    ...(state.capped?.least === undefined ? {} : { timedCap: state.capped.least }),
    ...defined({ stream: walk.stream, wire: walk.wire }),
    ...(state.disks === undefined ? {} : { disks: [...state.disks] }),
    ...defined({ diskLink: walk.diskLink }),
    ...latencyOf(state),
    ...defined({ diskCheck: state.known.diskCheck, balloon: state.known.balloon }),
    phases: walk.phases,
    checks: (state.known.checks ?? []).slice(0, MAX_CHECKS),
    ...defined({ verified: state.known.verified }),
    decisions: boundedDecisions(walk.decisions),
    takeovers: walk.takeovers,
    ...defined({ error: state.because }),
    ...(state.leftovers.length === 0 ? {} : { leftovers: state.leftovers.slice(0, MAX_LEFTOVERS) }),
    ...(walk.restartedAt === undefined
      ? {}
      : { restartedAt: new Date(walk.restartedAt).toISOString() }),
    ...withHalt(state.known),
    runsAt: sourceRunsAt(state),
  };
}

function identity(
  state: SourceState,
): Pick<Report, 'id' | 'guest' | 'from' | 'to' | 'mode' | 'settings'> {
  const { id, guest, from, to, settings } = state.plan;
  return { id, guest, from, to, mode: settings.mode, settings };
}

/** Absent if nothing was counted. */
function latencyOf({ known: { diskLatency } }: SourceState): Pick<Report, 'diskLatency'> {
  return diskLatency === undefined || diskLatency.length === 0 ? {} : { diskLatency };
}

function blackout({ marks }: Walk): Pick<Report, 'blackoutMs' | 'blackoutParts'> {
  const { stopped, ran } = marks;
  if (stopped === undefined || ran === undefined) return {};
  return { blackoutMs: Math.max(0, ran - stopped), blackoutParts: blackoutParts(marks) };
}

function standstills(
  { stalls }: Walk,
  endAt: number,
): Pick<Report, 'postcopyStalledMs' | 'postcopyStalls'> {
  const { count, totalMs } = stallsUntil(stalls, endAt);
  return count === 0 ? {} : { postcopyStalledMs: totalMs, postcopyStalls: count };
}

function walkJournal(records: readonly SourceRecord[], startedAt: number): Walk {
  const walk: Walk = {
    state: undefined,
    phases: [],
    rounds: [],
    decisions: [],
    takeovers: 0,
    marks: {},
    stand: {},
    memoryAt: undefined,
    memoryEndedAt: undefined,
    sample: undefined,
    final: undefined,
    endedAt: undefined,
    stalls: NO_STALLS,
    restartedAt: undefined,
    stream: undefined,
    wire: undefined,
    diskLink: undefined,
    enteredAt: startedAt,
  };
  for (const { event, at } of records) {
    const before = walk.state;
    if (before === undefined) {
      if (event.type === 'planned') walk.state = initialSource(event).state;
      continue;
    }
    const after = transition(before, event).state;
    walk.state = after;
    const was = phaseOf(before);
    // Devices may be unplugged first.
    if (isSending(after) && !isSending(before)) walk.memoryAt = at;
    if (phaseOf(after) !== was) {
      closePhase(walk, was, walk.enteredAt, at);
      walk.enteredAt = at;
      if (after.doing.kind === 'end') walk.endedAt = at;
      if (was === 'memory' || was === 'draining') walk.memoryEndedAt = at;
    }
    note(walk, event, at, Math.max(0, at - startedAt));
  }
  return walk;
}

function isSending({ doing }: SourceState): boolean {
  return doing.kind === 'do' && doing.step === 'memory';
}

function closePhase(walk: Walk, phase: Phase, from: number, to: number): void {
  walk.phases.push({ phase, ms: Math.max(0, to - from) });
}

function note(walk: Walk, event: SourceRecord['event'], at: number, atMs: number): void {
  walk.marks = marksAfter(walk.marks, event, at);
  walk.stand = standAfter(walk.stand, event, at);
  if (event.type === 'decided') walk.decisions.push(decisionOf(event, atMs));
  if (event.type === 'capped')
    walk.decisions.push({ atMs, what: cappedWords(event.bytesPerS, walk.state?.plan.from) });
  if (event.type === 'unset')
    walk.decisions.push({
      atMs,
      what: `it could not be set: ${event.error.message}`.slice(0, 1024),
    });
  if (event.type === 'did' && event.facts.waited !== undefined)
    walk.decisions.push({ atMs, what: event.facts.waited });
  if (event.type === 'cancel') walk.decisions.push({ atMs, what: 'cancel was asked for' });
  if (event.type === 'fenced')
    walk.decisions.push({ atMs, what: `${event.host} is off: ${event.by}` });
  if (event.type === 'resolved') walk.decisions.push({ atMs, what: resolvedWords(event) });
  if (event.type === 'restarted') walk.restartedAt = at;
  if (event.type === 'undid' && event.fromDisks === true) {
    walk.restartedAt = at;
    const { to = '' } = walk.state?.plan ?? {};
    const what = `the guest starts from its disks, as after a power loss: ${to} may have run it and written to them`;
    walk.decisions.push({ atMs, what });
  }
  noteWire(walk, event, atMs);
  if (event.type === 'timeout') walk.decisions.push({ atMs, what: 'the time allowed is over' });
  if (event.type === 'taken-over') walk.takeovers += 1;
  if (event.type === 'flows' && event.over !== undefined) {
    walk.decisions.push({ atMs, what: `the stream was resumed over ${event.over}` });
  }
  const news = stallNews(event);
  if (news !== undefined) walk.stalls = stallsAfter(walk.stalls, news, at);
  if (event.type === 'cancel' || event.type === 'failed' || event.type === 'timeout')
    walk.sample = event.sample ?? walk.sample;
  if (event.type !== 'measured') return;
  const { round, transferredBytes, remainingBytes, rate, dirtyRate, throttlePercent } =
    event.sample;
  const throttle = throttlePercent === undefined ? {} : { throttlePercent };
  const figures = { transferredBytes, remainingBytes, rate, dirtyRate, ...throttle };
  walk.sample = event.sample;
  if (event.final) {
    walk.final = event.sample;
    const lateMs = at - (walk.memoryEndedAt ?? at);
    walk.rounds.push({ round, atMs: Math.max(0, atMs - lateMs), ...figures });
  } else if (round > 1) {
    // A sample at the start of a round shows the end of the previous one.
    walk.rounds.push({ round: round - 1, atMs, ...figures });
  }
}

function streamWords(stream: ChosenStream | undefined): string {
  if (stream === undefined) return '';
  const { compress, streams } = stream;
  const packed = compress === 'none' ? '' : `, ${compressionText(stream)}`;
  return `${packed} over ${streams} streams`;
}

function noteWire(walk: Walk, event: SourceRecord['event'], atMs: number): void {
  if (event.type === 'did' && event.facts.path !== undefined) {
    const { takes, why, stream } = event.facts.path;
    walk.stream = stream;
    // A requested setting is not a decision.
    const { path: asked = 'native' } = walk.state?.plan.settings ?? {};
    if (takes !== asked)
      walk.decisions.push({ atMs, what: `memory goes by ${takes}${streamWords(stream)}: ${why}` });
  }
  if (event.type !== 'wire' && event.type !== 'disk-link') return;
  if (event.type === 'wire') walk.wire = addWire(walk.wire, event.figures);
  else walk.diskLink = addDiskLink(walk.diskLink, event.figures);
  const what = event.type === 'wire' ? 'the wire' : 'the path of the disks';
  if (event.why !== undefined) walk.decisions.push({ atMs, what: `${what} ended: ${event.why}` });
}

function resolvedWords({
  by,
  runAt,
  proof,
  elsewhere,
}: Extract<SourceEvent, { type: 'resolved' }>): string {
  if (runAt === 'elsewhere') {
    const ground = elsewhere?.why ?? 'on a person’s decision alone';
    return `${by} gave the copy at the source up (${ground})`;
  }
  const on = {
    ask: 'with the destination’s own answer',
    observed: 'the destination answers and has no copy of it',
    fenced: 'the other host was shown to be off',
    operator: 'on a person’s decision alone',
  };
  return `${by} resolved it to run at the ${runAt} (${on[proof]})`;
}

export function sourceRunsAt(state: SourceState): Report['runsAt'] {
  const outcome = state.doing.kind === 'end' ? state.doing.outcome : undefined;
  if (state.restarted) return 'source';
  if (state.because?.code === 'GODWIT_RUNS_ELSEWHERE') return 'unknown';
  const isOver = outcome === 'lost' || state.known.ended !== undefined;
  if (state.right === 'passed') return isOver ? 'nowhere' : 'destination';
  if (outcome === 'held' || outcome === 'lost') return 'unknown';
  if (isSourceGone(state)) return state.right === 'committing' ? 'unknown' : 'nowhere';
  return state.right === 'committing' || state.stopped ? 'unknown' : 'source';
}

function isSourceGone(state: SourceState): boolean {
  if (state.startedAnew === true) return false;
  const errors = [...state.leftovers, ...(state.because === undefined ? [] : [state.because])];
  const reported = errors.some(
    ({ code, facts }) =>
      code === 'GODWIT_GUEST_ENDED' ||
      (code === 'GODWIT_HYPERVISOR_LOST' && facts['side'] === 'source'),
  );
  return reported || state.stream === 'lost';
}
