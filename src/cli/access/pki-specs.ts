import { spec, type Flag } from '../verb.ts';

const dir = {
  kind: 'file',
  value: 'directory',
  summary: 'directory of the CA',
  preset: '/etc/godwit/ca',
} as const satisfies Flag;

const unknown = {
  kind: 'switch',
  summary: 'also a name that this CA does not know, such as one of an earlier build',
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
    'Writes ca.crt, a key and its certificate: host.* for the role agent, else operator.*, viewer.*, controller.* or relay.*. ' +
    'A host joins with `godwit invite`, which leaves its key on it.',
  args: {
    name: {
      kind: 'text',
      summary: "the host's name, as in its configuration, or the person's",
      required: true,
    },
  },
  flags: {
    dir,
    role: {
      kind: 'choice',
      choices: ['agent', 'operator', 'viewer', 'controller', 'relay'],
      summary:
        'agent: a host; operator: may migrate and cancel; viewer: may look; controller: follows the fleet; ' +
        'relay: joins sites',
      preset: 'agent',
    },
    addresses: {
      kind: 'text',
      value: 'list',
      summary: 'IP addresses and further DNS names, with commas between',
    },
    days: {
      kind: 'count',
      summary:
        'how long the certificate is valid, and each that renews it (default: 30 for a host whose CA has an agent beside it, else 365)',
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
    'For operators, viewers and controllers. Hosts renew their own; a relay’s is issued again with `godwit pki issue`. ' +
    'It changes nothing before half of the certificate’s life is over. The old one is valid until its end: revoke its ' +
    'serial number where somebody else may have it.',
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
        'the folder with ca.crt and the certificate, such as operator.crt and operator.key (default: those of the context in use)',
    },
  },
  examples: ['pki renew --at https://a.example:7443 --dir ~/.godwit'],
  json: '{ name, role, renewed, validUntil, directory }',
});

export const pkiRevokeSpec = spec({
  name: 'revoke',
  summary: 'revoke certificates: all of a name that were issued until now, or one',
  details:
    'Run it where the CA is. Its agent hands the signed list to the other hosts; one that is down ' +
    'gets it when it is back. A certificate that is issued afterwards is valid.',
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
  summary: 'take a host out of the fleet: its certificates and every right of it end',
  details:
    'Run it where the CA is, once the host’s migrations have ended: one that is under way with it ' +
    'is rolled back or held. `peers` in a configuration does not let it in again; joining does.',
  args: { host: { kind: 'text', summary: "the host's name", required: true } },
  flags: { dir, unknown },
  examples: ['pki remove c'],
  json: '{ removed, number }',
});

export const pkiRotateSecretSpec = spec({
  name: 'rotate-secret',
  summary: 'give all hosts another site secret, which a host that left does not know',
  details:
    'Run it where the CA is. Every host of the fleet fetches it with the next list. The one before ' +
    'counts for seven days more, so that hosts change over one by one and caches stay of use meanwhile.',
  flags: { dir },
  examples: ['pki rotate-secret'],
  json: '{ id, number }',
});
