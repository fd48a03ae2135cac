import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { initCa, issue, storeCredentials } from '../../src/agent/pki/authority.ts';
import type { ManagerEntry } from '../../src/protocol/controller/managers.ts';
import { holderOfSocket } from '../../src/rpc/port-holder.ts';
import { until } from '../until.ts';
import { Vcsim } from '../drivers/vsphere/support/vcsim.ts';

const REPO = path.resolve(import.meta.dirname, '../..');
const WAIT_MS = 60_000;
const PASSWORD = 'Tr0ub4dor';

let vcenter: Vcsim;
let dir: string;
let controller: ChildProcess | undefined;
let said = '';

const stateDir = (): string => path.join(dir, 'state');
const socket = (): string => path.join(stateDir(), 'controller.sock');

interface Ended {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

function godwit(...args: readonly string[]): Promise<Ended> {
  const env = { ...process.env, NO_COLOR: '1', GODWIT_CONTROLLER: socket() };
  const { promise, resolve } = Promise.withResolvers<Ended>();
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

async function up(): Promise<void> {
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

async function down(signal: NodeJS.Signals): Promise<void> {
  const child = controller;
  controller = undefined;
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

/** What the controller said besides, where it never is so. */
const untilSoOrSaid = async (holds: () => Promise<boolean>): Promise<void> => {
  const isSo = async (): Promise<true | undefined> => ((await holds()) ? true : undefined);
  await until(String(holds), WAIT_MS, isSo).catch((thrown: unknown) =>
    assert.fail(`${String(thrown)}\n${said}`),
  );
};

function add(name: string, ...more: readonly string[]): Promise<Ended> {
  const { url, user, passwordFile, fingerprint } = vcenter.section;
  const words = ['--vsphere', url, '--user', user, '--password-file', passwordFile];
  const pin = more.includes('--fingerprint') ? [] : ['--fingerprint', fingerprint];
  return godwit('manager', 'add', name, ...words, ...pin, ...more);
}

async function shown(name: string): Promise<ManagerEntry> {
  const found = await godwit('manager', 'show', name, '--json');
  assert.equal(found.exit, 0, found.err);
  return JSON.parse(found.out) as ManagerEntry;
}

const inState = (name: string, state: ManagerEntry['state']): Promise<void> =>
  untilSoOrSaid(async () => (await shown(name)).state === state);

function agent(...args: readonly string[]): Promise<Ended> {
  return godwit(...args, '--agent', path.join(stateDir(), 'managers/vc1/agent.sock'));
}

/** Files below a directory in which the password stands as it is. */
function tellsPassword(at: string): string[] {
  return readdirSync(at, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => path.join(each.parentPath, each.name))
    .filter((file) => readFileSync(file, 'latin1').includes(PASSWORD));
}

describe('a vCenter that is added to a controller', () => {
  before(async () => {
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
  });

  after(async () => {
    await godwit('manager', 'remove', 'vc1');
    const left = holderOfSocket(path.join(stateDir(), 'managers/vc1/agent.sock'));
    await down('SIGTERM');
    if (left !== undefined) process.kill(left.pid, 'SIGKILL');
    await vcenter?.close();
    if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
  });

  test('is refused with a wrong password and with another certificate, and nothing is kept', async () => {
    writeFileSync(vcenter.passwordFile, 'wrong\n');
    const denied = await add('vc1');
    writeFileSync(vcenter.passwordFile, `${PASSWORD}\n`);
    assert.equal(denied.exit, 4, denied.out + denied.err);
    assert.match(denied.err, /does not allow a login as godwit/);
    const other = await add('vc1', '--fingerprint', 'ab'.repeat(32));
    assert.match(other.err, /not the one that was pinned/);
    assert.match((await godwit('manager', 'list')).out, /no managers/);
    assert.deepEqual(readdirSync(path.join(stateDir(), 'managers')), []);
  });

  test('has its certificate shown and is not pinned where nobody compares it', async () => {
    const { url, user, passwordFile, fingerprint } = vcenter.section;
    const words = ['--vsphere', url, '--user', user, '--password-file', passwordFile];
    const asked = await godwit('manager', 'add', 'vc1', ...words);
    assert.equal(asked.exit, 2, asked.out);
    assert.match(asked.err, new RegExp(`--fingerprint ${fingerprint}`));
  });

  test('is pinned by a person at a terminal, who types the password unseen', async () => {
    const { url, user, fingerprint } = vcenter.section;
    const line = `${path.join(REPO, 'godwit')} manager add vc2 --vsphere ${url} --user ${user}`;
    const env = { ...process.env, NO_COLOR: '1', GODWIT_CONTROLLER: socket() };
    const child = spawn('script', ['-qec', line, '/dev/null'], { env, timeout: WAIT_MS });
    let screen = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (screen += text));
    const ended = once(child, 'exit');
    const asked = (words: RegExp) => untilSoOrSaid(() => Promise.resolve(words.test(screen)));
    await asked(/Type yes to pin it: /);
    assert.match(screen, new RegExp(fingerprint));
    child.stdin.write('yes\n');
    await asked(/Password of godwit: /);
    child.stdin.write(`${PASSWORD}\n`);
    const [exit] = (await ended) as [number | null];
    assert.equal(exit, 0, screen);
    assert.match(screen, /vc2 was added/);
    assert.doesNotMatch(screen, new RegExp(PASSWORD));
    assert.equal((await shown('vc2')).fingerprint, fingerprint);
    assert.equal((await godwit('manager', 'remove', 'vc2')).exit, 0);
  });

  test('gets an agent of its own, which lists, checks, moves and reports by the same commands', async () => {
    const added = await add('vc1');
    assert.equal(added.exit, 0, added.out + added.err);
    assert.equal((await add('vc1')).exit, 2);
    await inState('vc1', 'up');
    const { hosts, guests } = await shown('vc1');
    assert.equal(guests, 12);
    assert.ok(hosts !== undefined && hosts > 1);
    const guest = 'DC0_C0_RP0_VM0';
    await vcenter.ask({ do: 'move', name: guest, value: 'DC0_C0_H0' });
    assert.match((await agent('guests', '--fresh')).out, new RegExp(`${guest} .*dc0-c0-h0`));
    assert.equal((await agent('check', guest, '--to', 'dc0-c0-h1')).exit, 0);
    const moved = await agent('migrate', guest, '--to', 'dc0-c0-h1');
    assert.equal(moved.exit, 0, moved.out + moved.err);
    const id = /m-[0-9a-z]+/.exec(moved.out)?.[0] ?? '';
    assert.match((await agent('report', id)).out, /by its manager/);
    assert.equal((await vcenter.guests())[guest]?.host, 'DC0_C0_H1');
    assert.equal((await godwit('manager', 'show', 'vc1', '--check')).exit, 0);
  });

  test('has its password in memory and sealed, and in no file, log or argument', async () => {
    assert.deepEqual(tellsPassword(dir), []);
    assert.doesNotMatch(said, new RegExp(PASSWORD));
    const rotated = await godwit('manager', 'rotate-key');
    assert.match(rotated.out, /1 managers/);
    assert.deepEqual(tellsPassword(dir), []);
  });

  test('is said to be silent while it is down, and up once it is back', async () => {
    await vcenter.down();
    await inState('vc1', 'silent');
    const silent = await shown('vc1');
    assert.match(silent.reason ?? '', /vCenter/);
    assert.equal(silent.guests, 12, 'what it told last is kept');
    assert.match((await godwit('manager', 'list')).out, /vc1 .*silent/);
    await vcenter.up();
    await inState('vc1', 'up');
  });

  test('has its agent back where that is killed, and where its controller is', async () => {
    const at = path.join(stateDir(), 'managers/vc1/agent.sock');
    const first = holderOfSocket(at)?.pid ?? 0;
    process.kill(first, 'SIGKILL');
    await untilSoOrSaid(async () => ![undefined, first].includes(holderOfSocket(at)?.pid));
    await inState('vc1', 'up');
    const second = holderOfSocket(at)?.pid;
    await down('SIGKILL');
    await up();
    await inState('vc1', 'up');
    assert.equal(holderOfSocket(at)?.pid, second, 'it is taken over');
  });

  test('is silent, and asked for nothing more, where its certificate is another', async () => {
    await vcenter.ask({ do: 'certificate' });
    await vcenter.down();
    await vcenter.up();
    await untilSoOrSaid(async () =>
      /not the one that was pinned/.test((await shown('vc1')).reason ?? ''),
    );
    assert.equal((await shown('vc1')).state, 'silent');
  });

  test('is removed with its password and its agent', async () => {
    const at = path.join(stateDir(), 'managers/vc1');
    const config = JSON.parse(readFileSync(path.join(at, 'agent.json'), 'utf8')) as {
      drivers: { vsphere: { passwordFile: string } };
    };
    const { passwordFile } = config.drivers.vsphere;
    assert.equal(existsSync(passwordFile), true);
    const removed = await godwit('manager', 'remove', 'vc1');
    assert.equal(removed.exit, 0, removed.err);
    assert.equal(existsSync(passwordFile), false);
    assert.equal(existsSync(at), false);
    assert.equal(holderOfSocket(path.join(at, 'agent.sock')), undefined);
    assert.match((await godwit('manager', 'list')).out, /no managers/);
    assert.equal((await godwit('manager', 'show', 'vc1')).exit, 3);
  });
});
