import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { loadAgentConfig } from '../../config.ts';
import { openStore } from '../../controller/store/open.ts';
import { Tokens } from '../../controller/who/tokens.ts';
import { godwitError } from '../../errors.ts';
import { silentLog } from '../../log.ts';
import { issue, storeCredentials } from '../../pki/authority.ts';
import { makePrivateDir } from '../../pki/files.ts';
import { join } from '../../pki/join.ts';
import { parseToken } from '../../pki/token.ts';
import { splitAddress, withHost } from '../../protocol/names.ts';
import { syncDirectory } from '../../system/journal-file.ts';
import { OWN_PLACES } from '../connection/own-agent.ts';
import { usage } from '../connection/credentials.ts';
import { printJson, type Context } from '../context.ts';
import type { Finding } from '../doctor/facts.ts';
import { contextPainter, printView } from '../render/paint.ts';
import { doctorText } from '../render/findings.ts';
import type { Input } from '../verb.ts';
import { hasUnit } from './finish.ts';
import { givenToken } from './given-token.ts';
import { checkAddress, checkIsNew, chosenAddress, chosenName } from './look-at-host.ts';
import type { initSpec } from './specs.ts';

const CONFIG = '/etc/godwit/controller.json';
const STATE_DIR = '/var/lib/godwit-controller';
const NAME = 'control';
const PORT = 7444;
const UNIT = 'godwit-controller';
/** The first administrator. Root of this host can create another token through the controller's socket. */
const ADMIN = 'admin';
const ADMIN_VALID_MS = 90 * 86_400_000;

interface Place {
  readonly name: string;
  readonly address: string;
  readonly web: string;
  readonly config: string;
  readonly stateDir: string;
}

/**
 * Sets up a controller: certificate, database with the first administrator, configuration. The CA's host issues the
 * certificate directly; other hosts use a token from `godwit invite NAME --controller`.
 */
export async function initController(
  { args, flags, json }: Input<typeof initSpec>,
  context: Context,
): Promise<void> {
  if (flags.storage !== undefined) throw usage('--storage does not go with --controller', HELP);
  const config = path.resolve(flags.config ?? CONFIG);
  const stateDir = path.resolve(flags.stateDir ?? STATE_DIR);
  checkIsNew(config);
  checkStateIsNew(stateDir);
  const caDir = flags.token === undefined ? (flags.ca ?? ownCaDir()) : undefined;
  const token = caDir === undefined ? await givenToken(flags.token, context, COMMAND) : undefined;
  const name = token === undefined ? chosenName(args.name ?? NAME) : nameInToken(token, args.name);
  const address = chosenAddress(flags.address, PORT);
  const { host, port } = splitAddress(address);
  const web = withHost(`x:${port === 0 ? 0 : port + 1}`, host);
  for (const each of [address, web]) await checkAddress(config, each);
  const place = { name, address, web, config, stateDir };
  const pkiDir = path.join(stateDir, 'pki');
  makePrivateDir(stateDir);
  if (token !== undefined) await join(token, pkiDir, 'controller');
  else if (caDir !== undefined) {
    const asked = {
      caDir: path.resolve(caDir),
      name,
      role: 'controller',
      addresses: [host],
    } as const;
    storeCredentials(pkiDir, await issue(asked, context.clock.wallMs()), 'controller');
  }
  const admin = await firstAdministrator(stateDir);
  writeConfiguration(place);
  const findings = [nameFinding(pkiDir, place)];
  print({ place, findings, admin, created: [pkiDir, databaseIn(stateDir), config] }, context, json);
}

const HELP = 'See `godwit init --help`.';
const COMMAND = 'godwit init --controller';

function ownCaDir(): string | undefined {
  if (!existsSync(OWN_PLACES.config)) return undefined;
  return loadAgentConfig(OWN_PLACES.config).caDir;
}

function nameInToken(token: string, given: string | undefined): string {
  const { name } = parseToken(token);
  if (given === undefined || given === name) return name;
  throw usage(`the token is for ${name}, not for ${given.slice(0, 80)}`, HELP);
}

const databaseIn = (stateDir: string): string => path.join(stateDir, 'controller.db');

/** GODWIT_CONFIG if another controller's database is there. */
function checkStateIsNew(stateDir: string): void {
  const file = databaseIn(stateDir);
  if (!existsSync(file)) return;
  const what = 'is the database of another controller';
  const hint =
    'Put its configuration back, move the directory away, or name another one with --state-dir.';
  throw godwitError('GODWIT_CONFIG', { file, what }, { hint });
}

interface Administrator {
  readonly name: string;
  readonly token: string;
  readonly expiresAt: string;
}

async function firstAdministrator(stateDir: string): Promise<Administrator> {
  const store = await openStore({ sqlite: databaseIn(stateDir) }, silentLog);
  try {
    const asked = { name: ADMIN, role: 'admin', expiresInMs: ADMIN_VALID_MS } as const;
    const { token, entry } = await new Tokens(store).create({ ...asked, by: 'godwit init' });
    return { name: ADMIN, token, expiresAt: entry.expiresAt ?? '' };
  } finally {
    await store.close();
  }
}

/** Written last: its existence marks the host as set up. */
function writeConfiguration({ name, address, web, config, stateDir }: Place): void {
  const settings = { name, address, stateDir, web: { address: web } };
  mkdirSync(path.dirname(config), { recursive: true });
  const text = `${JSON.stringify(settings, null, 2)}\n`;
  writeFileSync(config, text, { flag: 'wx', flush: true });
  syncDirectory(path.dirname(config));
}

/** Clients check the address in the certificate, which the invitation chose. */
function nameFinding(pkiDir: string, { address, name }: Place): Finding {
  const certificate = new X509Certificate(readFileSync(path.join(pkiDir, 'controller.crt')));
  const { host } = splitAddress(address);
  const found = `${name}, until ${certificate.validToDate.toISOString().slice(0, 10)}`;
  if (certificate.checkIP(host) !== undefined) return { name: 'certificate', verdict: 'ok', found };
  const hint = `Browsers refuse it. Invite the controller again with --addresses ${host}, or give --address.`;
  return { name: 'certificate', verdict: 'warn', found: `${found}, not for ${host}`, hint };
}

interface ControllerSetUp {
  readonly place: Place;
  readonly findings: readonly Finding[];
  readonly admin: Administrator;
  readonly created: readonly string[];
}

function print(
  { place, findings, admin, created }: ControllerSetUp,
  context: Context,
  json: boolean,
): void {
  const { name, address, web, config, stateDir } = place;
  const url = `https://${web}/`;
  const next = nextSteps(place);
  if (json) {
    const steps = next.map(([step]) => step);
    printJson(context, {
      name,
      address,
      url,
      config,
      created,
      checks: findings,
      admin,
      next: steps,
    });
    return;
  }
  const widest = Math.max(...next.map(([step]) => step.length));
  const lines = next.map(([step, why]) => `  ${step.padEnd(widest)}  # ${why}`);
  const wrote = created.map((each) => `  ${each}\n`).join('');
  context.out.write(
    `The controller is ${name}; its dashboard is at ${url}\nA browser trusts it once it trusts the fleet's CA, ${path.join(stateDir, 'pki', 'ca.crt')}.\n\nWritten:\n${wrote}\n`,
  );
  printView(context, doctorText(findings, contextPainter(context)));
  context.out.write(
    `\nFirst administrator: ${admin.name}. Sign in with this token, valid until ${admin.expiresAt} and shown only now:\n\n${admin.token}\n\nNext:\n${lines.join('\n')}\n`,
  );
}

function nextSteps({ config, stateDir }: Place): [string, string][] {
  const isUsual = config === CONFIG;
  const start: [string, string] =
    isUsual && hasUnit(UNIT)
      ? [`systemctl enable --now ${UNIT}`, 'runs the controller, now and after each start']
      : [
          `godwit serve controller${isUsual ? '' : ` --config ${config}`}`,
          'runs the controller in the foreground',
        ];
  return [
    start,
    [
      `godwit hosts --controller ${path.join(stateDir, 'controller.sock')}`,
      'the hosts that it follows',
    ],
  ];
}
