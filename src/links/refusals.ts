import { godwitError, GodwitError, toGodwitError, type SerialError } from '../errors.ts';
import { serialError } from '../protocol/errors.ts';
import { readJson, type LinkRefusal } from './greeting.ts';

/** What the other side said of a session's end, as this side's error. */

const REFUSALS: Readonly<Record<LinkRefusal['why'], string>> = {
  closed: 'it closed the session',
  over: 'the session is over there',
  unknown: 'it knows no such session with this host',
  full: 'it takes no more connections',
  version: 'it speaks another version of the links',
};

export function refusedBy(peer: string, { why, error }: LinkRefusal): GodwitError {
  if (error !== undefined) return named(peer, error);
  return godwitError('GODWIT_SESSION_ENDED', { peer, reason: REFUSALS[why] });
}

/** From the payload of an abort. */
export function abortedBy(peer: string, payload: Uint8Array): GodwitError {
  try {
    return named(peer, readJson(serialError, payload, 'abort'));
  } catch (error) {
    return named(peer, toGodwitError(error).toJSON());
  }
}

function named(peer: string, serial: SerialError): GodwitError {
  const cause = new GodwitError(serial);
  return godwitError('GODWIT_SESSION_ENDED', { peer, reason: cause.message }, { cause });
}
