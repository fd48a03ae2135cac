import { row } from './row.ts';

/** Errors of the wire between processes. */
export const wireErrors = {
  // The wire between processes
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
  GODWIT_DEADLINE: row(
    '{what} took longer than {deadlineMs} ms',
    'Try again; if it stays, look at the other end’s log.',
    true,
    8,
    504,
  ),
  GODWIT_OVERLOADED: row(
    '{what} is at its limit of {limit}',
    'Wait for running work to end, or raise the limit in the agent’s configuration.',
    true,
    8,
    429,
  ),
} as const;
