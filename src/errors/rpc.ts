import { row } from './row.ts';

/** Errors of calls between processes. */
export const rpcErrors = {
  // Calls between processes
  GODWIT_PROTOCOL_VERSION: row(
    '{peer} speaks protocol {theirs}; this side speaks {ours}',
    'Upgrade the older side. The two versions may differ by at most one.',
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
    '{what} exceeds the limit of {limit}',
    'Send less. The limits are in docs/protocol.md.',
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
    'The answer lacks the part of that host. `godwit hosts` shows which hosts answer. Try again when it answers.',
    true,
    8,
    503,
  ),
  GODWIT_DEADLINE: row(
    '{what} took longer than {deadlineMs}',
    'Try again. If it happens again, see the log of the other side.',
    true,
    8,
    504,
  ),
  GODWIT_WIRE_CORRUPT: row(
    'the data that arrived on the wire from {peer} is not the data that was sent: {what}',
    'Migrate again. If it happens again, use --path native and keep the logs of both hosts.',
    true,
    5,
    502,
  ),
  GODWIT_WIRE_BROKEN: row(
    'the wire to {peer} broke: {what}',
    'See the log of the other host, and try again.',
    true,
    5,
    502,
  ),
  GODWIT_LINK_LOST: row(
    'no connection to {peer} for more than {graceMs}',
    'Check the link between the hosts. --link-grace sets how long it may be down.',
    true,
    8,
    504,
  ),
  GODWIT_SESSION_ENDED: row(
    '{peer} ended the session: {reason}',
    'The reason comes from the other mover. Its log and report have the details.',
    true,
    5,
    502,
  ),
  GODWIT_OVERLOADED: row(
    '{what} is at its limit of {limit}',
    'Wait until some of them end, and try again.',
    true,
    8,
    429,
  ),
} as const;
