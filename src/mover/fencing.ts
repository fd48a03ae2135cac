import { spawn } from 'node:child_process';
import type { AgentConfig } from '../config.ts';

/** What the fencing hook is told of the migration, besides the host to be off. */
export interface FenceFacts {
  readonly id: string;
  readonly guest: string;
  /** Which side the other host is of the migration. */
  readonly side: 'source' | 'destination';
}

export type Fencing =
  | { readonly off: true; readonly by: string }
  | { readonly off: false; readonly why: string };

/** Asks for the proof that a host is off. Never rejects: what is not proved is not proved, and says why. */
export type Fence = (host: string, facts: FenceFacts, signal: AbortSignal) => Promise<Fencing>;

const MOST_WORDS = 500;

/** The hook of this host's configuration; undefined where it has none. */
export function fenceOf(config: AgentConfig): Fence | undefined {
  const { fencing, name } = config;
  if (fencing === undefined) return undefined;
  const [program = '', ...args] = fencing.command;
  return (host, facts, signal) => {
    const environment = {
      GODWIT_HOST: name,
      GODWIT_FENCE_HOST: host,
      GODWIT_FENCE_SIDE: facts.side,
      GODWIT_MIGRATION: facts.id,
      GODWIT_GUEST: facts.guest,
    };
    return run(program, [...args, host], environment, fencing.timeoutMs, signal);
  };
}

/** Exit 0 is the proof; whatever else happens is none. Ends the hook, and what it started, when the time is over. */
async function run(
  program: string,
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Fencing> {
  const child = spawn(program, [...argv], {
    cwd: '/',
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own: it can be ended with all that it started.
    detached: true,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-MOST_WORDS);
    });
  }
  const end = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  };
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    end();
  }, timeoutMs);
  signal.addEventListener('abort', end, { once: true });
  try {
    return await new Promise<Fencing>((resolve) => {
      const no = (why: string): void => resolve({ off: false, why });
      child.once('error', ({ message }) => no(`the fencing hook cannot be started: ${message}`));
      // Not `close`: what it left running may keep the pipes open.
      child.once('exit', (code, killed) => {
        const words = said.trim().split('\n').at(-1) ?? '';
        const told = words === '' ? '' : `: ${words}`;
        if (code === 0) resolve({ off: true, by: `the fencing hook${told}`.slice(0, 128) });
        else if (late) no(`the fencing hook took longer than ${timeoutMs} ms`);
        else no(`the fencing hook ended with ${code ?? killed ?? 'nothing'}${told}`);
      });
      if (signal.aborted) end();
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}
