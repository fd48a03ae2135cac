import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { GuestLogs } from '../../src/agent/guest-logs.ts';
import { systemClock } from '../../src/clock.ts';
import { parseAgentConfig } from '../../src/config.ts';
import type { AgentConfig } from '../../src/config.ts';
import { logDirOf } from '../../src/host/guest-logs.ts';
import { silentLog } from '../../src/log.ts';

const CAP = 64 * 1024;

function host(t: TestContext, guestLogs: object): { config: AgentConfig; logs: GuestLogs } {
  const stateDir = mkdtempSync(path.join(tmpdir(), 'godwit-logs-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const all = { bytes: CAP, ...guestLogs };
  const text = JSON.stringify({ name: 'a', address: '127.0.0.1:1', stateDir, guestLogs: all });
  const config = parseAgentConfig('a.json', text);
  return { config, logs: new GuestLogs(config, systemClock, silentLog) };
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

test('one log that cannot be cut hinders no other', async (t) => {
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

test('logs elsewhere go with their guest, and nothing else goes there', async (t) => {
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
  while (readFileSync(flooded).length > CAP) await systemClock.sleep(5);
  await logs.close();
});
