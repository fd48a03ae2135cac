import { spawn } from 'node:child_process';
import { godwitError } from '../src/errors.ts';
import { systemEnvironment } from './environment.ts';

const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

export interface CommandOptions {
  /** Text for the command's standard input. */
  readonly input?: string;
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a command to its end and returns its standard output.
 * Throws GODWIT_LAB with the command and the last lines of its standard error when it fails,
 * GODWIT_HOST_LACKS when the program is not there, GODWIT_DEADLINE when it takes too long.
 */
export async function runCommand(
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const [program = '', ...args] = argv;
  const deadlineMs = options.deadlineMs ?? 15_000;
  options.signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: systemEnvironment(),
    });
    const stop = (reason: Error): void => {
      child.kill('SIGKILL');
      reject(reason);
    };
    const timer = setTimeout(
      () => stop(godwitError('GODWIT_DEADLINE', { what: shown(argv), deadlineMs })),
      deadlineMs,
    );
    const onAbort = (): void => stop(options.signal?.reason as Error);
    options.signal?.addEventListener('abort', onAbort, { once: true });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        if (output[name].length < MAX_OUTPUT_BYTES) output[name] += text;
      });
    }
    child.on('error', (cause) => reject(notStarted(program, cause)));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
      if (code === 0) resolve(output.stdout);
      else reject(failed(argv, code ?? signal, output.stderr));
    });
    // A command that ends early closes its input: its exit status shows why.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}

function notStarted(program: string, cause: Error): Error {
  const missing = 'code' in cause && cause.code === 'ENOENT';
  return missing
    ? godwitError('GODWIT_HOST_LACKS', { what: `the program ${program}` }, { cause })
    : godwitError(
        'GODWIT_LAB',
        { what: `${program} could not start: ${cause.message}` },
        { cause },
      );
}

function failed(argv: readonly string[], status: number | string | null, stderr: string): Error {
  const said = stderr.trim().split('\n').slice(-4).join('; ') || 'it said nothing';
  return godwitError('GODWIT_LAB', { what: `\`${shown(argv)}\` ended with ${status}: ${said}` });
}

function shown(argv: readonly string[]): string {
  const text = argv.join(' ');
  return text.length > 160 ? `${text.slice(0, 157)}...` : text;
}
