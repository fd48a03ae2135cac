/**
 * What the demo found out, and what it is judged by. Pure: measurements in, verdicts out.
 */
import type { SerialError } from '../src/errors.ts';
import type { GuestStats, GuestVerification } from '../lab/guest/talk.ts';
import type { ClientView } from '../lab/probe/probe.ts';
import type { StreamMode, Report } from '../src/protocol/public/migration.ts';

/** What the guest says of itself, asked over the network. */
export interface GuestWord {
  readonly memory: GuestVerification;
  readonly stats: GuestStats;
}

/** Everything that was seen of one move; what could not be had is absent. */
export interface Evidence {
  readonly mode: StreamMode;
  readonly from: string;
  readonly to: string;
  readonly report?: Report | undefined;
  readonly before: GuestWord;
  readonly after?: GuestWord | undefined;
  /** The guest's counters right before and after the move, for the rate that it dirtied at. */
  readonly dirtying?: { readonly from: GuestStats; readonly to: GuestStats } | undefined;
  readonly client?: ClientView | undefined;
  /** Hosts on which QEMU itself, or runc, says that the guest runs, after the move. */
  readonly runningOn: readonly string[];
  /** Why something of the above is missing. */
  readonly errors: readonly SerialError[];
}

/** One line of the demo's table and one entry of `migrations` in its JSON. Bytes, ms, bytes/s. */
export interface MoveResult {
  readonly mode: StreamMode;
  readonly from: string;
  readonly to: string;
  readonly id?: string;
  readonly outcome: Report['outcome'] | 'refused';
  /** How the memory really went over: hybrid may end as pre-copy when that converges early. */
  readonly finished?: Report['finished'];
  readonly totalMs?: number;
  readonly downtimeMs?: number;
  readonly blackoutMs?: number;
  readonly clientGapMs?: number;
  /** What a gap is when nothing happens, and the longest time for which the client itself did not run. */
  readonly clientTypicalGapMs?: number;
  readonly clientOwnStallMs?: number;
  readonly bytes?: number | undefined;
  readonly rounds?: number | undefined;
  readonly throughput?: number | undefined;
  readonly pageRequests?: number | undefined;
  /** What the guest achieved, by its own count, from before to after the move. */
  readonly dirtyBytesPerSecond?: number;
  readonly connectionKept: boolean;
  readonly memoryVerified: boolean;
  /** Checksum of the static working set, made inside the guest after the move. */
  readonly checksum?: string;
  /** Empty when all went well. */
  readonly problems: readonly string[];
  readonly error?: SerialError;
}

/** A mode that was not tried, and why. `failing` when that is itself a failure. */
export interface SkippedMove {
  readonly mode: StreamMode;
  readonly skipped: string;
  readonly failing: boolean;
}

export type Outcome = MoveResult | SkippedMove;

export function isSkipped(outcome: Outcome): outcome is SkippedMove {
  return 'skipped' in outcome;
}

/** Judges one move by what was seen of it. */
export function judgeMove(evidence: Evidence): MoveResult {
  const { mode, from, to, report, client, after, before } = evidence;
  const error = report?.error ?? evidence.errors[0];
  return {
    mode,
    from,
    to,
    outcome: report?.outcome ?? 'refused',
    ...measurements(report),
    ...(client === undefined
      ? {}
      : {
          clientGapMs: round(client.clientGapMs),
          clientTypicalGapMs: round(client.typicalGapMs),
          clientOwnStallMs: round(client.ownStallMs),
        }),
    ...dirtyRate(evidence),
    connectionKept: client?.connectionKept ?? false,
    memoryVerified: after !== undefined && memoryProblems(before, after).length === 0,
    ...(after === undefined ? {} : { checksum: after.memory.hash }),
    problems: problemsOf(evidence),
    ...(error === undefined ? {} : { error }),
  };
}

function measurements(report: Report | undefined): Partial<MoveResult> {
  if (report === undefined) return {};
  const { id, finished, totalMs, downtimeMs, blackoutMs, bytes, rounds, throughput } = report;
  return {
    id,
    finished,
    totalMs: round(totalMs),
    ...(downtimeMs === undefined ? {} : { downtimeMs: round(downtimeMs) }),
    ...(blackoutMs === undefined ? {} : { blackoutMs: round(blackoutMs) }),
    bytes,
    rounds,
    throughput,
    pageRequests: report.pageRequests,
  };
}

function dirtyRate({ dirtying }: Evidence): { dirtyBytesPerSecond?: number } {
  if (dirtying === undefined) return {};
  const ms = dirtying.to.dirtyingMs - dirtying.from.dirtyingMs;
  const bytes = dirtying.to.dirtiedBytes - dirtying.from.dirtiedBytes;
  return ms <= 0 ? {} : { dirtyBytesPerSecond: Math.round((bytes * 1000) / ms) };
}

function problemsOf(evidence: Evidence): string[] {
  const { mode, to, report, client, before, after, runningOn } = evidence;
  const problems = evidence.errors.map(({ message }) => message);
  if (report !== undefined && report.outcome !== 'done') {
    problems.push(`it ended as ${report.outcome}: ${report.error?.message ?? 'no reason given'}`);
  }
  if (report?.outcome === 'done' && mode !== 'hybrid' && report.finished !== mode) {
    problems.push(`asked for ${mode}, it went over by ${report.finished}`);
  }
  if (runningOn.length !== 1 || runningOn[0] !== to) {
    problems.push(`it runs on ${runningOn.join(' and ') || 'no host'}, not on ${to} alone`);
  }
  if (client === undefined) problems.push('the client could not be asked');
  else if (!client.connectionKept) problems.push(connectionProblem(client));
  if (after === undefined) problems.push('the guest did not answer afterwards');
  else problems.push(...memoryProblems(before, after));
  return [...new Set(problems)];
}

function connectionProblem({ connected, reason, lost, doubled }: ClientView): string {
  if (!connected) return `the client's connection broke: ${reason ?? 'no reason given'}`;
  return lost + doubled > 0
    ? `the client missed ${lost} answers and got ${doubled} twice`
    : 'the client is on another connection than before';
}

function memoryProblems(before: GuestWord, after: GuestWord): string[] {
  const problems: string[] = [];
  if (!before.memory.ok) problems.push('memory was wrong before the move');
  if (!after.memory.ok) {
    problems.push(
      `memory is not what was written (${after.memory.badChunks} rewritten parts differ)`,
    );
  }
  if (after.memory.hash !== before.memory.hash) problems.push('the checksum is another one');
  if (after.stats.bootId !== before.stats.bootId) problems.push('the guest was booted again');
  else if (after.stats.uptimeMs < before.stats.uptimeMs)
    problems.push('the guest went back in time');
  if (after.stats.dirtiedBytes < before.stats.dirtiedBytes) {
    problems.push('the guest counts fewer bytes written than before');
  }
  return problems;
}

/** A tenth of a ms is what a client on a busy machine can tell. */
function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** True for a move that did all it should, or that was left out for a reason of this machine. */
export function isFine(outcome: Outcome): boolean {
  if (isSkipped(outcome)) return !outcome.failing;
  return outcome.outcome === 'done' && outcome.problems.length === 0;
}
