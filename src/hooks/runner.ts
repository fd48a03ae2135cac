import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import type { AgentConfig } from '../config.ts';
import { godwitError, toGodwitError } from '../errors.ts';
import type { Log } from '../log.ts';
import { hookInput, HOOKS } from './hooks.ts';
import type { HookFacts, HookName } from './hooks.ts';

const MOST_WORDS = 500;
const FREE = new AbortController().signal;

/** Calls a hook where the host has it. GODWIT_HOOK_FAILED where it fails or takes too long. */
export async function runHook(
  { hooks, name: host }: Pick<AgentConfig, 'hooks' | 'name'>,
  hook: HookName,
  facts: () => HookFacts,
  signal: AbortSignal = FREE,
  deadlineMs: number = HOOKS[hook].deadlineMs,
): Promise<void> {
  if (hooks === undefined) return;
  const file = path.join(hooks.directory, hook);
  const there = await access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!there) return;
  const input = hookInput.parse({ ...facts(), version: 1, hook, host });
  const failed = await run(file, `${JSON.stringify(input)}\n`, deadlineMs, signal);
  signal.throwIfAborted();
  if (failed === undefined) return;
  throw godwitError('GODWIT_HOOK_FAILED', { hook, host, reason: failed });
}

/** The same for a hook that can change nothing any more: its failure is logged. Never rejects. */
export async function runLateHook(
  config: Pick<AgentConfig, 'hooks' | 'name'>,
  hook: HookName,
  facts: () => HookFacts,
  log: Log,
): Promise<void> {
  try {
    await runHook(config, hook, facts);
  } catch (error) {
    log.warn({ error: toGodwitError(error) }, 'a hook failed');
  }
}

/** Undefined on exit 0, else why not. Ends it, with all that it started, when the time is over or the signal comes. */
async function run(
  file: string,
  input: string,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (signal.aborted) return 'the migration did not wait for it';
  // A process group of its own: it can be ended with all that it started.
  const child = spawn(file, [], { cwd: '/', stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-MOST_WORDS);
    });
  }
  // It need not read what it is told.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
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
  }, deadlineMs);
  signal.addEventListener('abort', end, { once: true });
  try {
    return await new Promise<string | undefined>((resolve) => {
      child.once('error', ({ message }) => resolve(`it cannot be started: ${message}`));
      // Not `close`: what it left running may keep the pipes open.
      child.once('exit', (code, killed) => {
        const words = said.trim().split('\n').at(-1) ?? '';
        if (code === 0) resolve(undefined);
        else if (late) resolve(`it took longer than ${deadlineMs} ms`);
        else resolve(`it ended with ${code ?? killed}${words === '' ? '' : `: ${words}`}`);
      });
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}
