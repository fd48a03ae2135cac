import { godwitError } from '../../errors.ts';
import type { Lab } from '../state.ts';

/** Starts the relay that delays frames between the hosts' migration links. */
export async function startRelay(
  _lab: Lab,
  _delayMs: number,
  _signal?: AbortSignal,
): Promise<void> {
  throw godwitError('GODWIT_LAB', { what: 'a delay is not possible yet' });
}
