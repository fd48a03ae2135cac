import { z } from 'zod';
import { MANAGER_KINDS, type ManagerKind } from '../../agent/host/managers.ts';
import { readSettings } from '../../config/settings.ts';
import { ERRORS, godwitError } from '../../errors.ts';
import type { ManagerEntry } from '../../protocol/controller/managers.ts';
import { defined } from '../../protocol/defined.ts';
import { readPassword } from '../../system/files/password-file.ts';
import { printable } from '../../words/style.ts';
import { renderTable } from '../../words/table.ts';
import { formatMoment } from '../../protocol/quantity.ts';
import { printJson, type Context } from '../context.ts';
import { worst } from '../doctor/judge.ts';
import { listLook } from '../lists.ts';
import { doctorText } from '../render/findings.ts';
import { contextPainter, printView } from '../render/paint.ts';
import { spec, verb, type Flag, type Verb, type Run } from '../verb.ts';
import { atController, type ControllerApi } from '../fleet/at-controller.ts';

const name = { kind: 'text', summary: "the manager's name", required: true } as const;

const addresses = Object.fromEntries(
  Object.entries(MANAGER_KINDS).map(([kind, { product, url }]) => {
    return [kind, { kind: 'text', value: 'url', summary: `${product}: ${url}` }];
  }),
) as Readonly<Record<ManagerKind, Flag & { readonly kind: 'text' }>>;

const TYPE_MS = 600_000;
const ADD_MS = 200_000;

const managerAddSpec = spec({
  name: 'add',
  summary: 'add a vCenter or a Hyper-V host to a controller',
  details:
    'First tests the manager without changing it. Shows its certificate, and pins it after your confirmation; with ' +
    '--fingerprint or --manager-ca, no confirmation is needed. The password is read from a file or typed. The controller ' +
    'keeps it encrypted; it appears in no argument and no log.',
  args: { name },
  flags: {
    ...addresses,
    user: { kind: 'text', value: 'user', summary: 'the user name to log in with' },
    passwordFile: {
      kind: 'file',
      value: 'file',
      summary: 'file with only the password, readable only by its owner (default: you type it)',
    },
    fingerprint: {
      kind: 'text',
      value: 'sha256',
      summary: 'SHA-256 of its certificate: accept only this certificate',
    },
    managerCa: {
      kind: 'file',
      value: 'file',
      summary: 'PEM file of the CA that signed its certificate',
    },
    options: {
      kind: 'file',
      value: 'file',
      summary: "JSON file with further options of the driver's section",
    },
  },
  examples: [
    'manager add vc1 --vsphere https://vc1.example.com --user godwit@vsphere.local --password-file vc1.password',
  ],
  uses: 'controller',
  json: 'newManager',
});

const add: Run<typeof managerAddSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { flags, args } = input;
    const kinds = Object.keys(MANAGER_KINDS) as ManagerKind[];
    const given = kinds.filter((kind) => flags[kind] !== undefined);
    const [driver] = given;
    const url = driver === undefined ? undefined : flags[driver];
    if (driver === undefined || url === undefined || given.length > 1)
      throw usage(`name one manager: ${kinds.map((kind) => `--${kind} URL`).join(' or ')}`);
    if (flags.user === undefined) throw usage('--user is missing');
    const ca = flags.managerCa === undefined ? undefined : readSettings(flags.managerCa).text;
    const options = flags.options === undefined ? {} : optionsIn(flags.options);
    const pinned =
      ca === undefined
        ? (flags.fingerprint ?? (await shownAndTaken(api, url, context)))
        : undefined;
    const fingerprint = pinned?.replaceAll(':', '').toLowerCase();
    const password =
      flags.passwordFile === undefined
        ? await typed(context, flags.user)
        : await readPassword(flags.passwordFile);
    const place = { driver, url, user: flags.user, options };
    const trust = {
      ...defined({ ca, fingerprint }),
    };
    const body = { name: args.name, password, ...place, ...trust };
    const made = await api.addManager({ body }, { deadlineMs: ADD_MS });
    if (input.json) return printJson(context, made);
    const notOk = made.checks.filter(({ verdict }) => verdict !== 'ok');
    if (notOk.length > 0) printView(context, doctorText(notOk, contextPainter(context)));
    context.out.write(`${made.manager.name} was added\n`);
  });

const managerListSpec = spec({
  name: 'list',
  summary: 'list the managers of a controller, and those that do not answer',
  examples: ['manager list'],
  uses: 'controller',
  json: 'managers',
});

const list: Run<typeof managerListSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const answer = await api.managers();
    if (input.json) return printJson(context, answer);
    const rows = answer.managers.map((each) => [
      each.name,
      each.driver,
      printable(each.url),
      each.state,
      each.since,
      String(each.hosts ?? ''),
      String(each.guests ?? ''),
    ]);
    const head = ['NAME', 'DRIVER', 'ADDRESS', 'STATE', 'SINCE', 'HOSTS', 'GUESTS'];
    const text =
      rows.length === 0 ? 'no managers\n' : renderTable(head, rows, listLook(context, {}));
    context.out.write(text);
    for (const { name, reason } of answer.managers)
      if (reason !== undefined) context.out.write(`${name}: ${printable(reason)}\n`);
  });

const managerShowSpec = spec({
  name: 'show',
  summary: 'show one manager; with --check, whether Godwit can work with it',
  args: { name },
  flags: {
    check: {
      kind: 'switch',
      summary: 'test it now without changing it, as `godwit doctor --driver` does',
    },
  },
  examples: ['manager show vc1', 'manager show vc1 --check'],
  uses: 'controller',
  json: 'manager (with --check: doctor)',
});

const show: Run<typeof managerShowSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const params = { name: input.args.name };
    if (input.flags.check === true) {
      const { checks } = await api.diagnoseManager({ params }, { deadlineMs: ADD_MS });
      const verdict = worst(checks);
      if (input.json) printJson(context, { verdict, checks });
      else printView(context, doctorText(checks, contextPainter(context)));
      return verdict === 'fail' ? ERRORS.GODWIT_HOST_LACKS.exit : 0;
    }
    const found = await api.manager({ params });
    if (input.json) printJson(context, found);
    else printView(context, managerText(found));
    return 0;
  });

const managerRemoveSpec = spec({
  name: 'remove',
  summary:
    'remove a manager and its password from the controller; the manager and its guests stay unchanged',
  args: { name },
  examples: ['manager remove vc1'],
  uses: 'controller',
  json: '{ ok }',
});

const remove: Run<typeof managerRemoveSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { name } = input.args;
    const answer = await api.removeManager({ params: { name } });
    if (input.json) return printJson(context, answer);
    context.out.write(`${name} was removed, and its password with it\n`);
  });

const managerRotateSpec = spec({
  name: 'rotate-key',
  summary: 'encrypt the passwords of all managers with a new key',
  examples: ['manager rotate-key'],
  uses: 'controller',
  json: '{ managers }',
});

const rotate: Run<typeof managerRotateSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const answer = await api.rotateManagerKey({});
    if (input.json) return printJson(context, answer);
    const whose =
      answer.managers === 1 ? 'password of 1 manager' : `passwords of ${answer.managers} managers`;
    context.out.write(`encrypted the ${whose} with a new key\n`);
  });

function managerText(found: ManagerEntry): string {
  const { name, driver, url, user, fingerprint, state, since, reason, hosts, guests } = found;
  const lines: [string, string][] = [
    ['name', name],
    ['driver', driver],
    ['address', url],
    ['user', user],
    ['certificate', fingerprint === undefined ? 'a CA vouches for it' : `pinned: ${fingerprint}`],
    ['state', `${state} since ${formatMoment(since)}`],
    ...(reason === undefined ? [] : [['reason', reason] satisfies [string, string]]),
    ['guests', guests === undefined ? 'not reported yet' : `${guests} on ${hosts ?? 0} hosts`],
    ['agent', found.socket],
    ['added', `${formatMoment(found.createdAt)} by ${found.createdBy}`],
  ];
  return lines.map(([what, words]) => `${what.padEnd(12)}${printable(words)}\n`).join('');
}

/** A person compares the certificate at first use; without a terminal it must be given. */
async function shownAndTaken(api: ControllerApi, url: string, context: Context): Promise<string> {
  const shown = await api.managerCertificate({ body: { url } });
  const { fingerprint, subject, issuer, validTo } = shown;
  if (context.readLine === undefined) {
    const hint = `Compare it with the manager, then add --fingerprint ${fingerprint}; or name its CA with --manager-ca.`;
    const what = `there is no terminal to compare its certificate (SHA-256 ${fingerprint})`;
    throw godwitError('GODWIT_USAGE', { what }, { hint });
  }
  context.err.write(
    `It shows this certificate:\n  subject ${printable(subject)}\n  issuer  ${printable(issuer)}\n  until   ${validTo}\n  SHA-256 ${fingerprint}\nIs it the one that the manager itself shows? Type yes to pin it: `,
  );
  const said = await context.readLine(AbortSignal.timeout(TYPE_MS));
  if (said?.trim() === 'yes') return fingerprint;
  throw usage('the certificate was not taken');
}

/** Typed at a terminal without echo; otherwise the first line of standard input. */
async function typed(context: Context, user: string): Promise<string> {
  const signal = AbortSignal.timeout(TYPE_MS);
  const question = `Password of ${printable(user)}: `;
  const line = await (context.hiddenLine?.(question, signal) ?? context.firstLine?.(1024, signal));
  if (line === undefined || line === '') throw usage('no password was typed');
  return line;
}

function optionsIn(file: string): Record<string, unknown> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(readSettings(file).text));
  } catch (cause) {
    throw godwitError('GODWIT_CONFIG', { file, what: 'is no JSON object of options' }, { cause });
  }
}

function usage(what: string): Error {
  return godwitError('GODWIT_USAGE', { what }, { hint: 'See `godwit manager add --help`.' });
}

export const MANAGER_VERBS: readonly Verb[] = [
  verb(managerAddSpec, async () => ({ run: add })),
  verb(managerListSpec, async () => ({ run: list })),
  verb(managerShowSpec, async () => ({ run: show })),
  verb(managerRemoveSpec, async () => ({ run: remove })),
  verb(managerRotateSpec, async () => ({ run: rotate })),
];
