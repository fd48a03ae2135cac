import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';

/**
 * Finds threads with separate tables of open files (`unshare(CLONE_FILES)`), which `/proc/PID/fd` does not show. Only
 * kcmp(2) detects them; Node cannot call it, but perl can.
 */

/** KCMP_FILES, by the number of the call on each machine. */
const KCMP: Readonly<Record<string, number>> = { x64: 312, arm64: 272 };

/** Prints each thread whose table is not its process's. A thread that has ended (ESRCH) has none. */
const COMPARE = String.raw`
my ($call) = @ARGV;
while (my $line = <STDIN>) {
  my ($pid, $tid) = map { $_ + 0 } split / /, $line;
  my $order = syscall($call + 0, $pid, $tid, 2, 0, 0);
  print "$tid\n" if $order > 0;
  exit 1 if $order < 0 && $! + 0 != 3;
}
`;

const COMPARE_MS = 10_000;

export function otherThreads(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .map(Number)
      .filter((tid) => tid !== pid);
  } catch {
    return [];
  }
}

/** `threads`: by process, without the first. Resolves to those with separate tables. */
export async function threadsWithOwnTables(
  threads: ReadonlyMap<number, readonly number[]>,
  signal: AbortSignal,
  compare = compareTables,
): Promise<ReadonlySet<number>> {
  const pairs = [...threads].flatMap(([pid, tids]) => tids.map((tid) => [pid, tid] as const));
  if (pairs.length === 0) return new Set();
  const found = await compare(pairs, signal);
  signal.throwIfAborted();
  return found ?? byNumbers(threads, signal);
}

type Pair = readonly [pid: number, tid: number];

/** Undefined without perl, or if kcmp(2) is unavailable. */
async function compareTables(
  pairs: readonly Pair[],
  signal: AbortSignal,
): Promise<ReadonlySet<number> | undefined> {
  const call = KCMP[process.arch];
  if (call === undefined) return undefined;
  const child = spawn('perl', ['-e', COMPARE, String(call)], {
    stdio: ['pipe', 'pipe', 'ignore'],
    signal: AbortSignal.any([signal, AbortSignal.timeout(COMPARE_MS)]),
  });
  const lines = pairs.map(([pid, tid]) => `${pid} ${tid}\n`);
  try {
    const [printed] = await Promise.all([
      child.stdout.setEncoding('latin1').toArray() as Promise<string[]>,
      pipeline(lines, child.stdin),
      once(child, 'close'),
    ]);
    if (child.exitCode !== 0) return undefined;
    return new Set(printed.join('').split('\n').filter(Boolean).map(Number));
  } catch {
    return undefined;
  }
}

/**
 * Without kcmp(2): threads whose open descriptors differ from their process's. Tables with equal numbers count as one.
 */
async function byNumbers(
  threads: ReadonlyMap<number, readonly number[]>,
  signal: AbortSignal,
): Promise<ReadonlySet<number>> {
  const found = new Set<number>();
  for (const [pid, tids] of threads) {
    await nextTurn();
    signal.throwIfAborted();
    const own = numbersOpen(pid);
    for (const tid of tids) if (numbersOpen(tid) !== own) found.add(tid);
  }
  return found;
}

function numbersOpen(tid: number): string {
  try {
    return readdirSync(`/proc/${tid}/fd`).join(' ');
  } catch {
    return '';
  }
}
