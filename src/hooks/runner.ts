import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import type { AgentConfig } from '../config.ts';
import { godwitError, toGodwitError } from '../errors.ts';
import type { Log } from '../log.ts';
import { runSiteProgram } from './site-program.ts';
import { hookInput, HOOKS } from './hooks.ts';
import type { HookFacts, HookName } from './hooks.ts';

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
  const line = `${JSON.stringify(input)}\n`;
  const answer = await runSiteProgram({ file, input: line, deadlineMs, signal });
  signal.throwIfAborted();
  if (answer.ok) return;
  throw godwitError('GODWIT_HOOK_FAILED', { hook, host, reason: `it ${answer.why}` });
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
