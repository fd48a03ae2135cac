import { row } from './row.ts';

/** Errors of calls between processes. */
export const rpcErrors = {
  // Calls between processes
  GODWIT_PROTOCOL_VERSION: row(
    '{peer} speaks protocol {theirs}; this side speaks {ours}',
    'Upgrade the older of the two to a neighbouring version.',
    false,
    4,
    426,
  ),
  GODWIT_PROTOCOL_INVALID: row(
    '{peer} sent something that is not {expected}: {what}',
    'Check that both ends run released versions of Godwit.',
    false,
    5,
    400,
  ),
  GODWIT_TOO_LARGE: row(
    '{what} is larger than the limit of {limit} bytes',
    'Send less; the limits are in docs/protocol.md.',
    false,
    5,
    413,
  ),
  GODWIT_UNREACHABLE: row(
    '{peer} at {address} does not answer: {reason}',
    'Check that its agent runs and that the address and port are open.',
    true,
    8,
    503,
  ),
  GODWIT_INCOMPLETE: row(
    '{what} is incomplete: {hosts}',
    'It lacks what that host has. `godwit hosts` shows which hosts answer; try again once it does.',
    true,
    8,
    503,
  ),
  GODWIT_DEADLINE: row(
    '{what} took longer than {deadlineMs} ms',
    'Try again; if it happens again, look at the other end’s log.',
    true,
    8,
    504,
  ),
  GODWIT_WIRE_CORRUPT: row(
    'the wire from {peer} delivered something else than was sent: {what}',
    'Migrate again; if it happens again, use --path native and keep both hosts’ logs.',
    true,
    5,
    502,
  ),
  GODWIT_WIRE_BROKEN: row(
    'the wire to {peer} broke: {what}',
    'Look at the other host’s log, and try again.',
    true,
    5,
    502,
  ),
  GODWIT_LINK_LOST: row(
    'no connection to {peer} for more than {graceMs} ms',
    'Look at the link between the hosts; --link-grace sets how long it may be away.',
    true,
    8,
    504,
  ),
  GODWIT_SESSION_ENDED: row(
    '{peer} ended the session: {reason}',
    'The reason is the other mover’s own; its log and report have more.',
    true,
    5,
    502,
  ),
  GODWIT_OVERLOADED: row(
    '{what} is at its limit of {limit}',
    'Wait until some of that has ended, and try again.',
    true,
    8,
    429,
  ),
} as const;
