import { spawn } from 'node:child_process';
import { godwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import { identify } from './host/processes.ts';
import { killGroup, type ProcessIdentity } from '../../system/processes/process.ts';

const MAX_OUTPUT = 1024 * 1024;
export const DEADLINE_MS = 15_000;
const KILLED_MS = 30_000;

export interface CommandOptions {
  readonly host: string;
  readonly programs?: string | undefined;
  readonly mountsOf?: number | undefined;
  readonly cwd?: string;
  readonly home?: string;
  readonly deadlineMs?: number;
  /** Absent: the program runs to its deadline, because an abort would leave its work half done. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Kills all its descendants as well, and rejects after they have ended, so that none writes any more. Absent:
   * only the program is killed, without a wait.
   */
  readonly whole?: boolean;
  /** Another exit status that means success. */
  readonly alsoDone?: number;
  /** Output is not kept, because the container inherits the standard streams. */
  readonly quiet?: boolean;
  /** Called with the process before any wait for it. */
  readonly started?: (process: ProcessIdentity) => Promise<void>;
}

/**
 * Runs a program and returns its standard output. Throws GODWIT_HYPERVISOR with its last output if it fails,
 * GODWIT_HOST_LACKS if it is missing, and GODWIT_DEADLINE if it takes too long.
 */
export async function command(argv: readonly string[], options: CommandOptions): Promise<string> {
  const { host, signal, deadlineMs = DEADLINE_MS, cwd } = options;
  signal?.throwIfAborted();
  const [program = '', ...args] = [...entering(options), ...argv];
  const what = argv.slice(0, 6).join(' ');
  const child = spawn(program, args, {
    stdio: options.quiet === true ? 'ignore' : ['ignore', 'pipe', 'pipe'],
    env: environment(options),
    ...defined({ cwd }),
    detached: true,
  });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let stopped: Error | undefined;
  const stop = (why: Error): void => {
    if (options.whole !== true) {
      child.kill('SIGKILL');
      return reject(why);
    }
    stopped ??= why;
    killGroup(child.pid);
    // A process that the kernel does not end must not block forever.
    setTimeout(() => reject(why), KILLED_MS).unref();
  };
  const timer = setTimeout(
    () => stop(godwitError('GODWIT_DEADLINE', { what, deadlineMs })),
    deadlineMs,
  );
  const onAbort = (): void => stop(signal?.reason as Error);
  signal?.addEventListener('abort', onAbort, { once: true });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      if (said[name].length < MAX_OUTPUT) said[name] += text;
    });
  }
  child.on('error', (cause) => reject(notStarted(program, host, what, cause)));
  child.on(options.quiet === true ? 'exit' : 'close', (code, by) => {
    if (stopped !== undefined) return reject(stopped);
    if (code === 0 || code === options.alsoDone) return resolve(said.stdout);
    const words = said.stderr.trim().split('\n').slice(-3).join('; ').slice(0, 1000);
    const reason = words === '' ? `it ended with ${code ?? by}` : words;
    reject(
      godwitError('GODWIT_HYPERVISOR', { hypervisor: argv[0] ?? '', host, command: what, reason }),
    );
  });
  // It may end while its record is written.
  promise.catch(() => {});
  try {
    const { pid } = child;
    const identity = pid === undefined ? undefined : identify(pid);
    if (identity !== undefined) await options.started?.(identity);
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

function entering({ mountsOf, cwd }: CommandOptions): string[] {
  if (mountsOf === undefined) return [];
  const at = cwd === undefined ? [] : [`--wd=${cwd}`];
  return ['nsenter', '-t', String(mountsOf), '-m', ...at, '--'];
}

function environment({ programs, home }: CommandOptions): NodeJS.ProcessEnv {
  const found = process.env['PATH'] ?? '/usr/bin:/bin';
  const own = programs === undefined ? found : `${programs}:${found}`;
  const PATH = `${own}:/usr/sbin:/sbin`;
  return home === undefined ? { ...process.env, PATH } : { PATH, HOME: home };
}

function notStarted(program: string, host: string, what: string, cause: Error): Error {
  if ('code' in cause && cause.code === 'ENOENT') {
    return godwitError('GODWIT_HOST_LACKS', { what: `the program ${program}` }, { cause });
  }
  const facts = { hypervisor: program, host, command: what, reason: cause.message };
  return godwitError('GODWIT_HYPERVISOR', facts, { cause });
}
