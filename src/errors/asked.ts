import { row } from './row.ts';

/** Errors of what was asked: usage, configuration, names, rights. */
export const askedErrors = {
  // What the user typed or configured
  GODWIT_USAGE: row('{what}', 'See `godwit help`.', false, 2, 400),
  GODWIT_CONFIG: row(
    '{file}: {what}',
    'Correct the file; docs/operating.md lists every setting.',
    false,
    2,
    500,
  ),
  GODWIT_PRIVILEGE: row(
    '{what} needs {needs}',
    'Run `godwit doctor` for what this host lacks.',
    false,
    9,
    403,
  ),
  GODWIT_HOST_LACKS: row(
    'this host lacks {what}',
    'Run `godwit doctor`; each line that is not ok has a hint.',
    false,
    4,
    422,
  ),

  // Things looked up by name
  GODWIT_HOST_UNKNOWN: row(
    'no host is called {host}',
    'Run `godwit hosts` for the names.',
    false,
    3,
    404,
  ),
  GODWIT_GUEST_UNKNOWN: row(
    'no guest is called {guest} on {host}',
    'Run `godwit guests` for the names.',
    false,
    3,
    404,
  ),
  GODWIT_DISK_UNKNOWN: row(
    '{guest} has no disk called {disk}',
    'Run `godwit guest {guest}` for its disks.',
    false,
    3,
    404,
  ),
  GODWIT_DISK_MOVE_UNKNOWN: row(
    'no move of a disk {id} on {host}',
    'Name the host’s agent with --agent or --host.',
    false,
    3,
    404,
  ),
  GODWIT_MIGRATION_UNKNOWN: row(
    'no migration {id} on {host}',
    'Run `godwit migrations` for the list.',
    false,
    3,
    404,
  ),
  GODWIT_ROUTE_UNKNOWN: row(
    'there is no {method} {path}',
    'GET /openapi.json lists the API.',
    false,
    3,
    404,
  ),
  GODWIT_LAB_UNKNOWN: row('no lab called {lab} is up', 'Run `godwit lab up` first.', false, 3, 404),

  // Who may
  GODWIT_PEER_UNTRUSTED: row(
    '{peer} showed no certificate that this host trusts: {reason}',
    'Issue one from the same CA: `godwit pki issue`.',
    false,
    9,
    401,
  ),
  GODWIT_CERT_EXPIRED: row(
    'the certificate of {peer} expired on {date}',
    'Issue a new one: `godwit pki issue`, and check the clocks.',
    false,
    9,
    401,
  ),
  GODWIT_CERT_REVOKED: row(
    'the certificate of {peer} counts no more: it was revoked on {date}',
    'Issue a new one where the CA is: `godwit pki issue`.',
    false,
    9,
    401,
  ),
  GODWIT_CERT_SUPERSEDED: row(
    '{peer} asked for a new certificate with one that is not the last: the CA gave another to that name on {date}',
    'If nobody issued one for {peer} then, somebody else has its key: run `godwit pki revoke {peer}` where the CA is and let it join again. Else bring the newer certificate to it.',
    false,
    9,
    403,
  ),
  GODWIT_NOT_A_MEMBER: row(
    '{peer} is not a host of the fleet, as far as {host} knows',
    'Let it join (`godwit invite NAME --addresses IP`), or name it under `peers` in the configuration of {host}.',
    false,
    9,
    403,
  ),
  GODWIT_LIST_EXPIRED: row(
    'the fleet’s list that {host} has expired on {date}: it cannot know which certificates were revoked since',
    'Start the agent of the host that holds the CA: it renews the list. On {host} itself its unix socket works meanwhile.',
    true,
    9,
    401,
  ),
  GODWIT_LIST_DAMAGED: row(
    '{file} is damaged, so that nobody is let in over TLS: {why}',
    'Remove the file: the agent gets the list anew from the other hosts. Its unix socket works meanwhile.',
    false,
    9,
    500,
  ),
  GODWIT_ROLE_FORBIDDEN: row(
    '{peer} has the role {role}; {action} needs {needs}',
    'Use a certificate with the needed role (`godwit pki issue --role`).',
    false,
    9,
    403,
  ),
  GODWIT_JOIN_TOKEN: row(
    'the join token was refused: {reason}',
    'Make a new one with `godwit invite NAME --addresses IP` where the CA is; a token works once.',
    false,
    9,
    403,
  ),
  GODWIT_NAME_UNKNOWN: row(
    'the CA in {dir} knows nobody called {name}',
    'The names to which it gave certificates are in `issued` there.',
    false,
    3,
    404,
  ),
  GODWIT_PKI: row('{what}', 'See `godwit pki --help`.', false, 5, 500),
} as const;
