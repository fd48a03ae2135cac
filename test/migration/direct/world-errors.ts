import { godwitError, type GodwitError } from '../../../src/errors.ts';

/** What the sides of a world say when something goes wrong. */

const silent = { peer: 'b', address: 'b:7000', reason: 'no answer' };
export const unreachable = godwitError('GODWIT_UNREACHABLE', silent).toJSON();

export function sourceGone(): GodwitError {
  const facts = { side: 'source', guest: 'web1', reason: 'killed' };
  return godwitError('GODWIT_HYPERVISOR_LOST', facts);
}

/** The destination's answer where the stream ended before all memory had left its source. */
export function notWhole(): GodwitError {
  return godwitError('GODWIT_LOST', { guest: 'web1', reason: 'some of its memory never left' });
}

export function held(reason: string): GodwitError {
  return godwitError('GODWIT_HELD', { guest: 'web1', reason });
}
