import assert from 'node:assert/strict';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { ChangedDirectories } from '../../../src/agent/guests/changed-directories.ts';
import { GuestLogs } from '../../../src/agent/guests/guest-logs.ts';
import { systemClock } from '../../../src/clock.ts';
import { parseAgentConfig, type AgentConfig } from '../../../src/config.ts';
import { logDirOf } from '../../../src/host/guest-logs.ts';
import { plainLog } from '../../../src/log.ts';
import { until, untilSo } from '../../until.ts';

const CAP = 64 * 1024;

interface Host {
  readonly config: AgentConfig;
  readonly logs: GuestLogs;
  /** What it said in its log. */
  readonly said: string[];
}

function host(t: TestContext, guestLogs: object): Host {
  const stateDir = mkdtempSync(path.join(tmpdir(), 'godwit-logs-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const all = { bytes: CAP, ...guestLogs };
  const text = JSON.stringify({ name: 'a', address: '127.0.0.1:1', stateDir, guestLogs: all });
  const config = parseAgentConfig('a.json', text);
  const said: string[] = [];
  const log = plainLog((line) => said.push(line));
  return { config, logs: new GuestLogs(config, systemClock, log), said };
}

function writeLog(config: AgentConfig, guest: string, bytes: number): string {
  mkdirSync(path.join(config.stateDir, 'guests', guest), { recursive: true });
  const dir = logDirOf(config, guest);
  mkdirSync(dir, { recursive: true });
  const file = path.join(dir, 'serial.log');
  writeFileSync(file, Buffer.alloc(bytes, 'x'));
  return file;
}

test('the agent cuts the log of a guest that floods its serial port, and no other', async (t) => {
  const { config, logs } = host(t, {});
  const flooded = writeLog(config, 'web1', 40 * CAP);
  const quiet = writeLog(config, 'web2', 100);
  assert.ok(await logs.look(), 'it is not looked at again soon');
  assert.ok(readFileSync(flooded).length < CAP);
  assert.equal(readFileSync(quiet).length, 100);
  await logs.look();
  assert.ok(!(await logs.look()), 'a log that does not grow is looked at too often');
});

test('one log that cannot be cut does not block the others', async (t) => {
  const { config, logs } = host(t, {});
  const one = writeLog(config, 'web1', 10);
  const outside = path.join(config.stateDir, 'precious');
  writeFileSync(outside, Buffer.alloc(4 * CAP));
  symlinkSync(outside, path.join(path.dirname(one), 'link.log'));
  const flooded = writeLog(config, 'web2', 4 * CAP);
  await logs.look();
  assert.ok(readFileSync(flooded).length < CAP);
  assert.equal(readFileSync(outside).length, 4 * CAP);
});

test('a partial look sees the changes: logs that grow, new guests, and new directories', async (t) => {
  const { config, logs } = host(t, {});
  const quiet = writeLog(config, 'web1', 10);
  t.after(() => logs.close());
  await logs.look();
  const isCut = (file: string) =>
    until(`${file} to be cut`, 10_000, async () => {
      await logs.look(false);
      return readFileSync(file).length < CAP || undefined;
    });
  writeFileSync(quiet, Buffer.alloc(4 * CAP));
  await isCut(quiet);
  await isCut(writeLog(config, 'web2', 4 * CAP));
  mkdirSync(path.join(config.stateDir, 'guests', 'web3'));
  await logs.look(false);
  await isCut(writeLog(config, 'web3', 4 * CAP));
  writeFileSync(quiet, Buffer.alloc(4 * CAP));
  await isCut(quiet);
});

test('a directory is reported as changed once, until it changes again or is no longer watched', async (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-changed-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const changed = new ChangedDirectories();
  t.after(() => changed.keep(new Set()));
  const inner = path.join(directory, 'inner');
  assert.equal(changed.has(inner), true, 'nothing would report that it comes');
  assert.deepEqual([changed.has(directory), changed.has(directory)], [true, false]);
  assert.equal(changed.has(inner), false);
  const reported = (at: string) =>
    until(`${at} to be reported`, 10_000, () => Promise.resolve(changed.has(at) || undefined));
  mkdirSync(inner);
  await reported(directory);
  assert.deepEqual([changed.has(inner), changed.has(inner)], [true, false]);
  writeFileSync(path.join(inner, 'a.log'), 'x');
  await reported(inner);
  changed.keep(new Set([directory]));
  assert.equal(changed.has(inner), true);
});

const skip = process.geteuid?.() === 0 ? false : 'only root can give directories away';
const ID = 1_880_000_001;

test(
  'the agent does not touch whatever a hypervisor puts in place of the log directory',
  { skip },
  async (t) => {
    const { config, logs, said } = host(t, {});
    const victim = path.join(config.stateDir, 'victim');
    mkdirSync(victim);
    writeFileSync(path.join(victim, 'precious'), Buffer.alloc(4 * CAP));
    const [linked, others] = ['web1', 'web2'].map((guest) => writeLog(config, guest, 4 * CAP));
    rmSync(path.dirname(linked ?? ''), { recursive: true });
    symlinkSync(`${victim}/`, path.dirname(linked ?? ''));
    chownSync(path.dirname(others ?? ''), ID, ID);
    const flooded = writeLog(config, 'web3', 4 * CAP);
    for (const _again of [1, 2]) await logs.look();
    assert.equal(readFileSync(path.join(victim, 'precious')).length, 4 * CAP);
    assert.equal(readFileSync(others ?? '').length, 4 * CAP);
    assert.ok(readFileSync(flooded).length < CAP);
    assert.equal(said.length, 2, 'each is not said once');
  },
);

test('no log is removed while the guests cannot be listed', async (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-away-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { config, logs, said } = host(t, { directory });
  const files = ['web1', 'web2'].map((guest) => writeLog(config, guest, 10));
  const guests = path.join(config.stateDir, 'guests');
  renameSync(guests, `${guests}-away`);
  writeFileSync(guests, '');
  for (const _again of [1, 2]) assert.equal(await logs.look(), false);
  assert.deepEqual(files.map(existsSync), [true, true]);
  assert.equal(said.length, 1, 'it is not said once');
  rmSync(guests);
  renameSync(`${guests}-away`, guests);
  rmSync(path.join(guests, 'web2'), { recursive: true });
  await logs.look();
  assert.deepEqual(files.map(existsSync), [true, false]);
});

test('logs next to a guest are cut while those elsewhere cannot be listed', async (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-away-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { config, logs, said } = host(t, { directory });
  writeFileSync(path.join(directory, 'godwit-a'), '');
  const own = path.join(config.stateDir, 'guests', 'web1');
  mkdirSync(own, { recursive: true });
  writeFileSync(path.join(own, 'qemu.log'), Buffer.alloc(4 * CAP));
  await logs.look();
  assert.ok(readFileSync(path.join(own, 'qemu.log')).length < CAP);
  assert.equal(said.length, 2, 'the directory and the guest’s in it are not named');
});

test('logs elsewhere are removed with their guest, and nothing else there is', async (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-away-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { config, logs } = host(t, { directory });
  const here = writeLog(config, 'web1', 10);
  const gone = writeLog(config, 'web2', 10);
  writeFileSync(path.join(directory, 'syslog'), 'not ours');
  rmSync(path.join(config.stateDir, 'guests', 'web2'), { recursive: true });
  await logs.look();
  assert.ok(existsSync(here));
  assert.ok(!existsSync(gone));
  assert.ok(existsSync(path.join(directory, 'syslog')));
});

test('the agent looks until it closes', async (t) => {
  const { config, logs } = host(t, {});
  const flooded = writeLog(config, 'web1', 4 * CAP);
  logs.start();
  await untilSo(() => readFileSync(flooded).length <= CAP);
  await logs.close();
});
