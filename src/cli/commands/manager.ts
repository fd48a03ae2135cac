import { MANAGER_KINDS, type ManagerKind } from '../../agent/host/managers.ts';
import { spec, verb, type Flag, type Verb } from '../verb.ts';

const controller = {
  kind: 'text',
  value: 'where',
  summary: "the controller: its unix socket's path (default: $GODWIT_CONTROLLER)",
} as const satisfies Flag;

const name = { kind: 'text', summary: "the manager's name", required: true } as const;

/** One for each kind of manager. */
const addresses = Object.fromEntries(
  Object.entries(MANAGER_KINDS).map(([kind, { product, url }]) => {
    return [kind, { kind: 'text', value: 'url', summary: `${product}: ${url}` }];
  }),
) as Readonly<Record<ManagerKind, Flag & { readonly kind: 'text' }>>;

export const managerAddSpec = spec({
  name: 'add',
  summary: 'add a vCenter or a Hyper-V host to a controller',
  details:
    'It is asked first, by reading alone. Its certificate is shown and pinned once you say yes; with --fingerprint or --ca ' +
    'nobody is asked. The password is read from a file or typed, kept encrypted by the controller, and stands in no argument and no log.',
  args: { name },
  flags: {
    ...addresses,
    user: { kind: 'text', value: 'user', summary: 'who logs in' },
    passwordFile: {
      kind: 'file',
      value: 'file',
      summary: 'the password alone, readable by its owner only; left out: it is typed',
    },
    fingerprint: {
      kind: 'text',
      value: 'sha256',
      summary: 'SHA-256 of its certificate: that one and no other',
    },
    ca: { kind: 'file', value: 'file', summary: 'PEM of the CA that vouches for it' },
    options: {
      kind: 'file',
      value: 'file',
      summary: "JSON with further options of its driver's section",
    },
    controller,
  },
  examples: [
    'manager add vc1 --vsphere https://vc1.example.com --user godwit@vsphere.local --password-file vc1.password',
  ],
  usesAgent: true,
  json: 'newManager',
});

export const managerListSpec = spec({
  name: 'list',
  summary: 'the managers of a controller, and which of them are silent',
  flags: { controller },
  examples: ['manager list'],
  usesAgent: true,
  json: 'managers',
});

export const managerShowSpec = spec({
  name: 'show',
  summary: 'one manager, and with --check whether Godwit can work with it',
  args: { name },
  flags: {
    check: {
      kind: 'switch',
      summary: 'ask it now, by reading alone, as `godwit doctor --manager` does',
    },
    controller,
  },
  examples: ['manager show vc1', 'manager show vc1 --check'],
  usesAgent: true,
  json: 'manager (with --check: doctor)',
});

export const managerRemoveSpec = spec({
  name: 'remove',
  summary:
    'remove a manager from its controller, with its password; it and its guests stay as they are',
  args: { name },
  flags: { controller },
  examples: ['manager remove vc1'],
  usesAgent: true,
  json: '{ ok }',
});

export const managerRotateSpec = spec({
  name: 'rotate-key',
  summary: 'encrypt the passwords of all managers anew, under a new key',
  flags: { controller },
  examples: ['manager rotate-key'],
  usesAgent: true,
  json: '{ managers }',
});

/** The verbs of `godwit manager`. */
export const MANAGER_VERBS: readonly Verb[] = [
  verb(managerAddSpec, async () => ({ run: (await import('./manager-run.ts')).add })),
  verb(managerListSpec, async () => ({ run: (await import('./manager-run.ts')).list })),
  verb(managerShowSpec, async () => ({ run: (await import('./manager-run.ts')).show })),
  verb(managerRemoveSpec, async () => ({ run: (await import('./manager-run.ts')).remove })),
  verb(managerRotateSpec, async () => ({ run: (await import('./manager-run.ts')).rotate })),
];
