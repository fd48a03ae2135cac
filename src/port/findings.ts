import { toGodwitError } from '../errors.ts';
import type { ManagerFinding } from './managed.ts';

/** A finding that says why something could not be looked at. */
export function failed(name: string, thrown: unknown): ManagerFinding {
  const { message, hint } = toGodwitError(thrown);
  return { name, verdict: 'fail', found: message, hint };
}

/** What a look finds; the look that fails is a finding itself. */
export async function tried(
  name: string,
  signal: AbortSignal,
  work: () => Promise<ManagerFinding[]>,
): Promise<ManagerFinding[]> {
  try {
    return await work();
  } catch (thrown) {
    signal.throwIfAborted();
    return [failed(name, thrown)];
  }
}
