import { godwitError, type SerialError } from '../../errors.ts';
import type { EndKind } from '../../protocol/guest-end.ts';
import { endWords, haltHint, haltWords, type Halt } from './run-states.ts';

export function haltError(guest: string, halted: Halt): SerialError {
  const facts = { guest, how: haltWords(halted) };
  return godwitError('GODWIT_GUEST_HALTED', facts, { hint: haltHint(halted) }).toJSON();
}

export function endError(guest: string, ended: EndKind): SerialError {
  return godwitError('GODWIT_GUEST_ENDED', { guest, how: endWords(ended) }).toJSON();
}
