import { runHook, runLateHook } from '../../../hooks/runner.ts';
import type { HookFacts } from '../../../hooks/hooks.ts';
import type { Log } from '../../../log.ts';
import type { EndPhase } from '../../../protocol/public/migration.ts';
import type { StepContext } from './ports.ts';
import type { MigrationRun } from './source-base.ts';

/** Calls the site's program, if any. GODWIT_HOOK_FAILED ends the migration and leaves the guest in place. */
export function askHook(
  context: StepContext<'host'>,
  hook: 'before-start' | 'before-switchover',
  signal: AbortSignal,
): Promise<void> {
  return runHook(context.host.config, hook, () => factsOf(context), signal);
}

/** Reports the outcome to the site's program, and returns it. Never rejects. */
export async function callEndHook(
  context: StepContext<'host'>,
  outcome: EndPhase,
  log: Log,
): Promise<EndPhase> {
  const facts = (): HookFacts => factsOf(context);
  if (outcome === 'done') await runLateHook(context.host.config, 'after-done', facts, log);
  if (outcome === 'rehearsed' || outcome === 'failed' || outcome === 'cancelled') {
    await runLateHook(context.host.config, 'after-rollback', facts, log);
  }
  return outcome;
}

export function factsOf({ state }: Pick<MigrationRun, 'state'>): HookFacts {
  const { plan, known, because } = state();
  const networks = known.networks ?? [];
  return {
    migration: plan.id,
    guest: plan.guest,
    from: plan.from,
    to: plan.to,
    mode: plan.settings.mode,
    networks,
    ...(plan.settings.rehearse === true ? { rehearsal: true } : {}),
    ports: Object.fromEntries(networks.map(({ id, port }) => [id, port])),
    ...(because === undefined
      ? {}
      : { error: { code: because.code, message: because.message.slice(0, 1000) } }),
  };
}
