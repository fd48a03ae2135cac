import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import type { AgentConfig } from '../config.ts';
import { godwitError, toGodwitError } from '../errors.ts';
import type { Log } from '../log.ts';
import { runSiteProgram, type SiteAnswer } from './site-program.ts';
import { hookInput, HOOKS, type HookFacts, type HookInput, type HookName } from './hooks.ts';

const FREE = new AbortController().signal;

/** Calls a hook if the host has it. GODWIT_HOOK_FAILED on failure or timeout. */
export async function runHook(
  config: Pick<AgentConfig, 'hooks' | 'name'>,
  hook: HookName,
  facts: () => HookFacts,
  signal: AbortSignal = FREE,
  deadlineMs: number = HOOKS[hook].deadlineMs,
): Promise<void> {
  const answer = await answerOf(config, hook, facts, { signal, deadlineMs });
  if (answer === undefined || answer.ok) return;
  const { name: host } = config;
  throw godwitError('GODWIT_HOOK_FAILED', { hook, host, reason: `it ${answer.why}` });
}

/** Result of a hook or site check; undefined if the host has none. Rejects once the signal aborts. */
export async function answerOf(
  { hooks, name: host }: Pick<AgentConfig, 'hooks' | 'name'>,
  hook: HookInput['hook'],
  facts: () => HookFacts,
  { signal, deadlineMs }: { readonly signal: AbortSignal; readonly deadlineMs: number },
): Promise<SiteAnswer | undefined> {
  if (hooks === undefined) return undefined;
  const file = path.join(hooks.directory, hook);
  const there = await access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!there) return undefined;
  const input = hookInput.parse({ ...facts(), version: 1, hook, host });
  const line = `${JSON.stringify(input)}\n`;
  const answer = await runSiteProgram({ file, input: line, deadlineMs, signal });
  signal.throwIfAborted();
  return answer;
}

/** Like `runHook`, for a hook that can no longer stop anything: failures are logged. Never rejects. */
export async function runLateHook(
  config: Pick<AgentConfig, 'hooks' | 'name'>,
  hook: HookName,
  facts: () => HookFacts,
  log: Log,
): Promise<void> {
  try {
    await runHook(config, hook, facts);
  } catch (error) {
    log.warn({ error: toGodwitError(error) }, 'hook failed');
  }
}
