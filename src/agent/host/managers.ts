import { loadAgentConfig, type AgentConfig } from '../../config.ts';
import { managersOf } from '../../drivers/registry.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import type { ManagerFinding } from '../../port/managed.ts';

/** Re-exported for code above the agent. */
export { MANAGER_KINDS, onlyDriver } from '../../drivers/registry.ts';
export type { ManagerKind } from '../../drivers/registry.ts';
export type { ManagerFinding };

const DIAGNOSE_MS = 180_000;

/** Changes nothing. GODWIT_CONFIG if the configuration cannot be read, GODWIT_USAGE if it has no such manager. */
export async function diagnoseManager(name: string, configFile: string): Promise<ManagerFinding[]> {
  const managers = await managersOf(loadAgentConfig(configFile));
  const found = managers.find((each) => each.name === name);
  if (found === undefined) {
    const names = managers.map((each) => each.name);
    const known = names.length === 0 ? 'it names none' : `it names ${names.join(', ')}`;
    const hint = didYouMean(name, names) ?? 'A manager has a section of `drivers` there.';
    throw godwitError(
      'GODWIT_USAGE',
      { what: `no manager ${name} in ${configFile}: ${known}` },
      { hint },
    );
  }
  const signal = AbortSignal.timeout(DIAGNOSE_MS);
  try {
    return await found.diagnose(signal);
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
    const what = `the answers of ${name}`;
    const { message, hint } = toGodwitError(
      godwitError('GODWIT_DEADLINE', { what, deadlineMs: DIAGNOSE_MS }, { cause: thrown }),
    );
    return [{ name: 'answers', verdict: 'fail', found: message, hint }];
  }
}

export async function diagnoseIn(
  config: AgentConfig,
  signal: AbortSignal,
): Promise<ManagerFinding[] | undefined> {
  const [driver] = await managersOf(config);
  return driver?.diagnose(signal);
}
