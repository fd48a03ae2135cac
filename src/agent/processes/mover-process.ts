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
/** The log of a mover is cut once it is longer; its end stays. */
const MAX_LOG_BYTES = 4 * 1024 * 1024;
const LONGEST_LINE = 16_384;

/** Starts movers and finds them again; a test gives its own. */
export interface MoverProcesses {
  /** Resolves once the mover serves; rejects with what its log says when it ended before. */
  start(migration: Migration, onExit: () => void): Promise<MoverState>;
  /** The mover that works on it now; undefined when there is none. */
  find(migration: Migration): MoverState | undefined;
  /** It is there and does nothing: somebody has stopped it. */
  isStopped(mover: MoverState): boolean;
  /** Ends it at once. A new one finds its journal as it left it. */
  kill(mover: MoverState): void;
  /** Keeps the log of its movers within a bound, in its place. */
  capLog(migration: Migration): Promise<void>;
}

/** Movers as processes of their own, which live on when the agent ends. */
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

/** Has the mover's sources compiled ahead, so that the first one starts as fast, and is as small, as the others. */
export function compileMover(): void {
  // Without arguments it only loads all of them and says how it is used.
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

/** The mover says `ready` on descriptor 3, or why it cannot work, or ends, which closes it. */
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

/** The error that a mover reports instead of `ready`, such as one of the host's ports. */
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

/** The line of the log that names the error. */
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
