/** A controller and a simulated vCenter, for the tests of one file. */
import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { initCa, issue, storeCredentials } from '../../../src/pki/authority.ts';
import type { ManagerEntry } from '../../../src/protocol/controller/managers.ts';
import { holderOfSocket } from '../../../src/rpc/port-holder.ts';
import { until } from '../../until.ts';
import { Vcsim } from '../../drivers/vsphere/support/vcsim.ts';

export const REPO = path.resolve(import.meta.dirname, '../../..');
export const WAIT_MS = 60_000;
export const PASSWORD = 'Tr0ub4dor';

export let vcenter: Vcsim;
export let dir: string;
let controller: ChildProcess | undefined;
export let said = '';

export const stateDir = (): string => path.join(dir, 'state');
export const socket = (): string => path.join(stateDir(), 'controller.sock');

interface CommandResult {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

export function godwit(...args: readonly string[]): Promise<CommandResult> {
  const env = { ...process.env, NO_COLOR: '1', GODWIT_CONTROLLER: socket() };
  const { promise, resolve } = Promise.withResolvers<CommandResult>();
  const child = execFile(
    path.join(REPO, 'godwit'),
    args,
    { env, timeout: WAIT_MS },
    (error, out, err) => {
      resolve({ exit: error === null ? 0 : Number(error.code ?? -1), out, err });
    },
  );
  child.stdin?.end();
  return promise;
}

export async function up(): Promise<void> {
  const program = path.join(REPO, 'src/bin/controller.ts');
  const child = spawn(process.execPath, [program, '--config', path.join(dir, 'controller.json')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  controller = child;
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (said += text));
  await untilSoOrSaid(async () => {
    assert.equal(child.exitCode, null, said);
    return (await godwit('manager', 'list')).exit === 0;
  });
}

export async function down(signal: NodeJS.Signals): Promise<void> {
  const child = controller;
  controller = undefined;
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

/** What the controller said besides, where it never is so. */
export const untilSoOrSaid = async (holds: () => Promise<boolean>): Promise<void> => {
  const isSo = async (): Promise<true | undefined> => ((await holds()) ? true : undefined);
  await until(String(holds), WAIT_MS, isSo).catch((thrown: unknown) =>
    assert.fail(`${String(thrown)}\n${said}`),
  );
};

export function add(name: string, ...more: readonly string[]): Promise<CommandResult> {
  const { url, user, passwordFile, fingerprint } = vcenter.section;
  const words = ['--vsphere', url, '--user', user, '--password-file', passwordFile];
  const pin = more.includes('--fingerprint') ? [] : ['--fingerprint', fingerprint];
  return godwit('manager', 'add', name, ...words, ...pin, ...more);
}

export async function shown(name: string): Promise<ManagerEntry> {
  const found = await godwit('manager', 'show', name, '--json');
  assert.equal(found.exit, 0, found.err);
  return JSON.parse(found.out) as ManagerEntry;
}

export const inState = (name: string, state: ManagerEntry['state']): Promise<void> =>
  untilSoOrSaid(async () => (await shown(name)).state === state);

export function agent(...args: readonly string[]): Promise<CommandResult> {
  return godwit(...args, '--agent', path.join(stateDir(), 'managers/vc1/agent.sock'));
}

/**
 * Files below a directory in which the password stands as it is. The state directory has a link to a directory in memory,
 * which is no file of it.
 */
export function filesWithPassword(at: string): string[] {
  const top = realpathSync(at);
  return readdirSync(at, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => path.join(each.parentPath, each.name))
    .filter((file) => realpathSync(file).startsWith(`${top}/`))
    .filter((file) => readFileSync(file, 'latin1').includes(PASSWORD));
}

export async function open(): Promise<void> {
  vcenter = await Vcsim.open({ guests: 6, password: PASSWORD });
  dir = mkdtempSync(path.join(tmpdir(), 'godwit-mg-'));
  const caDir = path.join(dir, 'ca');
  await initCa(caDir);
  const issued = await issue({
    caDir,
    name: 'control',
    role: 'controller',
    addresses: ['127.0.0.1'],
  });
  storeCredentials(path.join(stateDir(), 'pki'), issued, 'controller');
  const config = { name: 'control', address: '127.0.0.1:0', stateDir: stateDir() };
  writeFileSync(path.join(dir, 'controller.json'), JSON.stringify(config));
  await up();
}

export async function close(): Promise<void> {
  await godwit('manager', 'remove', 'vc1');
  const left = holderOfSocket(path.join(stateDir(), 'managers/vc1/agent.sock'));
  await down('SIGTERM');
  if (left !== undefined) process.kill(left.pid, 'SIGKILL');
  await vcenter?.close();
  if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
}
