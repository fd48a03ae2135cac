import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { withDeadline } from '../../deadline.ts';
import { godwitError } from '../../errors.ts';
import { compileAhead } from './compile-ahead.ts';
import { capLog, logSize } from '../../host/guest-logs.ts';
import { isAlive, isStopped } from '../../system/processes/process.ts';
import { fromSerial, serialError } from '../../protocol/errors.ts';
import { moverState, type MoverState } from '../../protocol/mover/request.ts';
import { MOVER_ENVIRONMENT, UNOPTIMISED_FLAGS } from '../../system/processes/small-process.ts';
import type { Migration } from '../migrations/store.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/mover.ts', import.meta.url));
/** Less than the source waits for an admission. */
const READY_MS = 28_000;
const LOG_TAIL = 2000;
const MAX_LOG_BYTES = 4 * 1024 * 1024;
const LONGEST_LINE = 16_384;

export interface MoverProcesses {
  /** Resolves once the mover serves; rejects with its log's error if it ended before. */
  start(migration: Migration, onExit: () => void): Promise<MoverState>;
  find(migration: Migration): MoverState | undefined;
  isStopped(mover: MoverState): boolean;
  /** Kills it at once. A new one finds its journal unchanged. */
  kill(mover: MoverState): void;
  capLog(migration: Migration): Promise<void>;
}

/** Movers as separate processes, which outlive the agent. */
export function moverProcesses(configFile: string, program: string = PROGRAM): MoverProcesses {
  return {
    start: (migration, onExit) => startMover(migration, configFile, program, onExit),
    find: findMover,
    isStopped,
    kill: (mover) => {
      if (isAlive(mover)) process.kill(mover.pid, 'SIGKILL');
    },
    capLog: async ({ dir }) => {
      const file = path.join(dir, 'mover.log');
      if ((await logSize(file)) > MAX_LOG_BYTES) await capLog(file, MAX_LOG_BYTES);
    },
  };
}

export function compileMover(): void {
  // Without arguments it loads all modules and prints its usage.
  compileAhead(PROGRAM, UNOPTIMISED_FLAGS);
}

async function startMover(
  migration: Migration,
  configFile: string,
  program: string,
  onExit: () => void,
): Promise<MoverState> {
  const { dir, request } = migration;
  const logFd = openSync(path.join(dir, 'mover.log'), 'a', 0o600);
  const args = ['--dir', dir, '--config', configFile, '--side', request.side];
  let child: ChildProcess;
  try {
    child = spawn(process.execPath, [...UNOPTIMISED_FLAGS, program, ...args], {
      detached: true,
      cwd: '/',
      env: { ...process.env, ...MOVER_ENVIRONMENT },
      stdio: ['ignore', logFd, logFd, 'pipe'],
    });
  } finally {
    closeSync(logFd);
  }
  child.once('exit', onExit);
  try {
    await withDeadline(`to start the mover of ${migration.id}`, READY_MS, undefined, (signal) =>
      readiness(child, migration, signal),
    );
  } catch (thrown) {
    child.kill('SIGKILL');
    throw thrown;
  }
  child.unref();
  const found = findMover(migration);
  if (found === undefined) throw ended(migration, 'it ended at once');
  return found;
}

/** On descriptor 3 the mover writes `ready`, or why it cannot work. Its end closes the descriptor. */
async function readiness(
  child: ChildProcess,
  migration: Migration,
  signal: AbortSignal,
): Promise<void> {
  const pipe = child.stdio[3] as Readable;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once('error', (cause) => reject(ended(migration, cause.message)));
  let line = '';
  pipe.setEncoding('utf8').on('data', (text: string) => {
    line = (line + text).slice(0, LONGEST_LINE);
    if (!line.includes('\n')) return;
    const why = whyNot(line);
    if (why === undefined) resolve();
    else reject(why);
  });
  pipe.once('end', () => reject(ended(migration, lastWords(migration.dir))));
  signal.addEventListener('abort', () => pipe.destroy(), { once: true });
  try {
    await promise;
  } finally {
    pipe.destroy();
  }
}

function whyNot(line: string): Error | undefined {
  if (line.startsWith('ready')) return undefined;
  try {
    return fromSerial(serialError.parse(JSON.parse(line)));
  } catch {
    return godwitError('GODWIT_INTERNAL', { what: 'a mover said something that is not an error' });
  }
}

function ended(migration: Migration, why: string): Error {
  const what = `the mover of ${migration.id} did not start: ${why}`;
  return godwitError('GODWIT_INTERNAL', { what }, { hint: `Its log: ${migration.dir}/mover.log` });
}

function namesError(line: string): boolean {
  const [word = ''] = /^\w+/.exec(line) ?? [];
  return word.endsWith('Error') || /GODWIT_\w/.test(word);
}

function lastWords(dir: string): string {
  try {
    const lines = readFileSync(path.join(dir, 'mover.log'), 'utf8').slice(-LOG_TAIL).split('\n');
    const named = lines.findLast(namesError);
    return named ?? lines.findLast((line) => line !== '') ?? 'it said nothing';
  } catch {
    return 'it said nothing';
  }
}

function findMover({ dir }: Migration): MoverState | undefined {
  let state: MoverState;
  try {
    state = moverState.parse(JSON.parse(readFileSync(path.join(dir, 'mover.json'), 'utf8')));
  } catch {
    return undefined;
  }
  return isAlive(state) ? state : undefined;
}
