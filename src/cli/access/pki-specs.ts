import { spec, type Flag } from '../verb.ts';

const dir = {
  kind: 'file',
  value: 'directory',
  summary: 'directory of the CA',
  preset: '/etc/godwit/ca',
} as const satisfies Flag;

const unknown = {
  kind: 'switch',
  summary: 'accept a name that this CA has not issued, such as one of an earlier build',
} as const satisfies Flag;

export const pkiInitSpec = spec({
  name: 'init',
  summary: 'make a certificate authority: ca.crt, and ca.key, which only its owner may read',
  details: 'Keep ca.key on one host, and a copy of it offline: who has it can be any host.',
  flags: { dir },
  examples: ['pki init', 'pki init --dir /srv/godwit-ca'],
  json: '{ dir, fingerprint }',
});

export const pkiIssueSpec = spec({
  name: 'issue',
  summary: 'make a certificate for a person, or for a host that cannot join by itself',
  details:
    'Writes ca.crt, a key and its certificate: host.* for the role agent, otherwise operator.*, viewer.*, ' +
    'controller.* or relay.*. A host should join with `godwit invite`, so that its key never leaves it.',
  args: {
    name: {
      kind: 'text',
      summary: 'the name of the host, as in its configuration, or of the person',
      required: true,
    },
  },
  flags: {
    dir,
    role: {
      kind: 'choice',
      choices: ['agent', 'operator', 'viewer', 'controller', 'relay'],
      summary:
        'agent (a host), operator (may migrate and cancel), viewer (may only read), controller (follows the fleet) or relay (joins sites)',
      preset: 'agent',
    },
    addresses: {
      kind: 'text',
      value: 'list',
      summary: 'IP addresses and further DNS names, separated by commas',
    },
    days: {
      kind: 'count',
      summary:
        "validity of the certificate and its renewals in days (default: 30 for a host if the CA's host runs an agent, otherwise 365)",
    },
    out: {
      kind: 'file',
      value: 'directory',
      summary: 'where to write the files (default: ./NAME)',
    },
  },
  examples: ['pki issue b --addresses 10.0.0.2', 'pki issue ann --role operator --out ~/.godwit'],
  json: '{ name, role, directory, files }',
});

export const pkiRenewSpec = spec({
  name: 'renew',
  summary:
    'renew the certificate of a person or a controller, with a new key, at the agent that holds the CA',
  details:
    'Meant for operators, viewers and controllers. Hosts renew their own certificates; a relay needs a new one from ' +
    "`godwit pki issue`. Does nothing before half of the certificate's lifetime is over. The old certificate stays " +
    'valid until its end: revoke its serial number if its key may be stolen.',
  flags: {
    at: {
      kind: 'text',
      value: 'where',
      summary:
        'the agent that holds the CA: https://host:port, or https://NAME@address:port (required)',
    },
    dir: {
      kind: 'file',
      value: 'directory',
      summary:
        'the directory with ca.crt and the certificate, such as operator.crt and operator.key (default: the directory of the current context)',
    },
  },
  examples: ['pki renew --at https://a.example:7443 --dir ~/.godwit'],
  json: '{ name, role, renewed, validUntil, directory }',
});

export const pkiRevokeSpec = spec({
  name: 'revoke',
  summary: 'revoke one certificate, or all certificates of a name that were issued until now',
  details:
    'Run it on the host that holds the CA. Its agent sends the signed list to the other hosts; a host that is down ' +
    'gets it when it is back. Certificates issued later are valid.',
  args: {
    what: {
      kind: 'text',
      summary: 'the name of a host or person, or the serial number of one certificate',
      required: true,
    },
  },
  flags: { dir, unknown },
  examples: ['pki revoke ann', 'pki revoke 5f3a09c1d2e4b687a1c0ffee5f3a09c1'],
  json: '{ revoked, number }',
});

export const pkiRemoveSpec = spec({
  name: 'remove',
  summary: 'remove a host from the fleet, with its certificates and all its rights',
  details:
    "Run it on the host that holds the CA, after the host's migrations have ended: a migration in progress is rolled " +
    'back or held. To return, the host must join again; adding it to `peers` in a configuration is not enough.',
  args: { host: { kind: 'text', summary: "the host's name", required: true } },
  flags: { dir, unknown },
  examples: ['pki remove c'],
  json: '{ removed, number }',
});

export const pkiRotateSecretSpec = spec({
  name: 'rotate-secret',
  summary: 'give all hosts a new site secret, which a removed host does not have',
  details:
    'Run it on the host that holds the CA. Every host of the fleet fetches the secret with the next list. The old ' +
    'one stays valid for seven days, so that hosts can change one by one and caches stay usable.',
  flags: { dir },
  examples: ['pki rotate-secret'],
  json: '{ id, number }',
});

export const pkiRotateCaSpec = spec({
  name: 'rotate-ca',
  summary: 'replace the CA of the fleet in steps, while every member keeps working',
  details:
    'Run it on the host that holds the CA, whose agent must run. Without a step it shows each member with the CAs that it ' +
    'trusts and the CA of its certificate. `start` makes a new CA, which all members are to trust next to the old one. ' +
    '`switch` has the new CA issue, and hosts renew their certificates; the key of the old CA is deleted. `finish` removes the old CA. `cancel` ' +
    'undoes `start`. `switch` and `finish` are refused as long as a member would be cut off, and name it. Persons and ' +
    'controllers run `godwit pki renew` after `start`, after `switch` and after `finish`.',
  args: {
    step: {
      kind: 'text',
      summary: 'start, switch, finish or cancel; without a step the status is shown',
    },
  },
  flags: {
    dir,
    yesIKnow: {
      kind: 'switch',
      summary: 'carry the step out even if members are cut off and must join again',
    },
  },
  examples: ['pki rotate-ca', 'pki rotate-ca start', 'pki rotate-ca finish'],
  uses: 'host',
  json: '{ stage, issuing, authorities } after a step; without a step also members',
});
