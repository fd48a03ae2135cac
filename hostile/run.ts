import { createReadStream, globSync, readFileSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { imageDirectory } from '../lab/image/initramfs.ts';
import { cacheDirectory } from '../src/system/files/cache-directory.ts';
import { labHost, storageDirectory } from '../lab/state.ts';
import { PRODUCT_VERSION } from '../src/protocol/version.ts';
import { systemClock } from '../src/clock.ts';
import type { CaseResult } from './attacker.ts';
import { CALM, EVIL, MOVED, openStage, TARGET, type Stage } from './stage.ts';
import {
  agentProblems,
  differences,
  guestsState,
  hostSize,
  hostState,
  type HostSize,
  type HostState,
} from './witness/host.ts';
import { judgeSeen, type Ground } from './witness/files.ts';
import { TraceReader } from './witness/trace.ts';

export interface RunOptions {
  readonly seed: number;
  /** Numbers of cases, in this order. */
  readonly numbers: readonly number[];
  /** The attacked host has this defect. */
  readonly hole?: string | undefined;
  /** How long what was begun may take to end by itself once nobody asks any more, ms. */
  readonly settleMs?: number;
  readonly onCase?: (tried: CaseResult) => void;
}

export interface Violation {
  /** Undefined where nothing shows which case it was. */
  readonly number?: number;
  readonly what: string;
}

export interface Outcome {
  readonly cases: number;
  readonly asks: number;
  readonly answers: Readonly<Record<string, number>>;
  /** Requests to each route. */
  readonly routes: Readonly<Record<string, number>>;
  readonly seenCalls: number;
  readonly violations: readonly Violation[];
  readonly before: HostSize;
  readonly after: HostSize;
  readonly tookMs: number;
}

/**
 * `dirname` and `readlink` are of the program that setup puts before a second QEMU; `mkfifo` makes the pipes of a monitor,
 * and where it makes them is judged by its calls.
 */
const PROGRAMS = [
  'ip',
  'bridge',
  'setpriv',
  'mkfifo',
  'qemu-system-x86_64',
  'qemu-img',
  'dirname',
  'readlink',
];
/** A destination’s lease, and a look. */
const SETTLE_MS = 60_000;
const END_MS = 120_000;
/** Of logs, that are shown. */
const MAX_LINES = 20;

/** Does the cases against a real agent, and says what it or its host did that it must not. */
export async function runCases(wanted: RunOptions): Promise<Outcome> {
  const stage = await openStage(wanted.hole);
  try {
    return await runOn(stage, wanted);
  } finally {
    await stage.close();
  }
}

async function runOn(
  stage: Stage,
  { seed, numbers, settleMs = SETTLE_MS, onCase }: RunOptions,
): Promise<Outcome> {
  const began = performance.now();
  const look = (): Promise<HostState> => stateOf(stage);
  const [before, sizeBefore] = [await look(), await hostSize(stage.world, TARGET, stage.agent)];
  const tried: CaseResult[] = [];
  const violations: Violation[] = [];
  const attacker = stage.attacker(seed);
  try {
    for (const number of numbers) {
      const one = (await attacker.ask({ number })) as CaseResult;
      tried.push(one);
      onCase?.(one);
      violations.push(...one.problems.map((what) => ({ number, what })));
    }
  } finally {
    await attacker.end(END_MS);
  }
  const left = await settled(before, look, settleMs);
  const after = await hostSize(stage.world, TARGET, stage.agent);
  violations.push(
    ...left.map((what) => ({ what })),
    ...agentProblems(stage.agent, sizeBefore, after).map((what) => ({ what })),
    ...logProblems(stage).map((what) => ({ what })),
  );
  const trace = await readTrace(stage, tried);
  violations.push(...trace.violations);
  return {
    ...counted(tried),
    seenCalls: trace.calls,
    violations,
    before: sizeBefore,
    after,
    tookMs: Math.round(performance.now() - began),
  };
}

async function stateOf({ world, keeper }: Stage): Promise<HostState> {
  const guests = await guestsState(world, TARGET, { calm: CALM, moved: MOVED });
  const theirs = await keeper.ask('status');
  return {
    ...(await hostState(world, TARGET)),
    ...guests,
    'the migration of another host': theirs,
  };
}

/** The differences that stay. */
async function settled(
  before: HostState,
  look: () => Promise<HostState>,
  settleMs: number,
): Promise<string[]> {
  const until = performance.now() + settleMs;
  for (;;) {
    const left = differences(before, await look());
    if (left.length === 0 || performance.now() > until) return left;
    await systemClock.sleep(500);
  }
}

function counted(
  tried: readonly CaseResult[],
): Pick<Outcome, 'cases' | 'asks' | 'answers' | 'routes'> {
  const answers: Record<string, number> = {};
  const routes: Record<string, number> = {};
  for (const one of tried) {
    for (const answer of one.answers) answers[answer] = (answers[answer] ?? 0) + 1;
    for (const { target, route } of one.case.asks) {
      const key = `${target}.${route}`;
      routes[key] = (routes[key] ?? 0) + 1;
    }
  }
  const asks = tried.reduce((sum, one) => sum + one.answers.length, 0);
  return { cases: tried.length, asks, answers, routes };
}

/** A defect is logged with its stack, also where it is reported to nobody; and a mover that fell says why. */
function logProblems({ world }: Stage): string[] {
  const { agentLog, stateDir } = labHost(world.lab, TARGET);
  const files = [agentLog, ...globSync(path.join(stateDir, 'migrations', '*', 'mover.log'))];
  const lines = files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) =>
        /because of a defect|\bdefect: |"level":"?(error|fatal|50|60)|^\w*Error\b/.test(line),
      )
      .map((line) => `${path.relative(stateDir, file)}: ${line.slice(0, 800)}`),
  );
  return lines.slice(0, MAX_LINES);
}

async function readTrace(
  stage: Stage,
  tried: readonly CaseResult[],
): Promise<{ calls: number; violations: Violation[] }> {
  const reader = new TraceReader();
  const ground = groundOf(stage);
  const violations = new Map<string, Violation>();
  let calls = 0;
  for await (const line of createInterface({ input: createReadStream(stage.traceFile) })) {
    const seen = reader.read(line);
    if (seen === undefined) continue;
    calls += 1;
    const what = judgeSeen(seen, ground);
    if (what === undefined || violations.has(what)) continue;
    const during = tried.findLast(({ fromMs }) => fromMs <= seen.atMs);
    violations.set(what, { ...(during === undefined ? {} : { number: during.case.number }), what });
  }
  return { calls, violations: [...violations.values()] };
}

function groundOf({ world, traps }: Stage): Ground {
  const { lab } = world;
  const target = labHost(lab, TARGET);
  const storage = storageDirectory(lab, TARGET);
  const repo = path.resolve(import.meta.dirname, '..');
  return {
    stateDir: target.stateDir,
    storage,
    readable: [
      repo,
      realpathSync(path.join(repo, 'node_modules')),
      path.dirname(path.dirname(process.execPath)),
      cacheDirectory(),
      imageDirectory(),
      '/boot',
      target.configFile,
      target.agentLog,
      path.join(lab.dir, 'ca'),
    ],
    writable: [...compileCaches(), target.agentLog],
    traps,
    programs: [process.execPath, ...PROGRAMS],
    bystanders: [
      path.join(storage, CALM),
      path.join(target.stateDir, 'guests', CALM),
      path.join(target.stateDir, 'guests', MOVED),
      labHost(lab, EVIL).stateDir,
    ],
    strangers: new Set(),
  };
}

/** Where node keeps what it has compiled: of root, and of a user. */
function compileCaches(): string[] {
  const caches = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
  const name = `compile-${PRODUCT_VERSION}`;
  return [path.join(cacheDirectory(), name), path.join(caches, 'godwit', name)];
}
