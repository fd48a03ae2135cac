import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { moverProcesses } from '../../../src/agent/processes/mover-process.ts';
import type { Migration } from '../../../src/agent/migrations/store.ts';
import { isAlive } from '../../../src/system/processes/process.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { untilSo } from '../../until.ts';

const id = 'm-00000001';

function migration(t: TestContext): Migration {
  const dir = path.join(tempDir(t), id);
  mkdirSync(dir);
  const admission = { id, guest: 'g', from: 'a', memoryBytes: 1, epoch: 1, timeoutMs: 1000 };
  const peer = { name: 'a', address: '127.0.0.1:1' };
  const both = { version: 1, id, fromHost: 'a', toHost: 'b', peer, createdAt: '' } as const;
  return { id, dir, request: { ...both, side: 'destination', admission } };
}

/** A program in place of the mover, in JavaScript. */
function program(t: TestContext, text: string): string {
  const file = path.join(tempDir(t), 'mover.mjs');
  writeFileSync(file, text);
  return file;
}

const PROCESS = JSON.stringify(import.meta.resolve('../../../src/system/processes/process.ts'));
const READY = `
import { writeFileSync, writeSync } from 'node:fs';
const { ownIdentity } = await import(${PROCESS});
const dir = process.argv[process.argv.indexOf('--dir') + 1];
writeFileSync(dir + '/mover.json', JSON.stringify({
  ...ownIdentity(), socket: dir + '/mover.sock', address: '127.0.0.1:50000' }));
writeSync(3, 'ready\\n');
setInterval(() => {}, 1000);
`;

test('a mover is present once it reports itself, in a separate session, and is found again', async (t) => {
  const made = migration(t);
  const movers = moverProcesses('unused.json', program(t, READY));
  const ended = Promise.withResolvers<void>();
  const state = await movers.start(made, ended.resolve);
  t.after(() => isAlive(state) && process.kill(state.pid, 'SIGKILL'));
  assert.equal(state.address, '127.0.0.1:50000');
  assert.deepEqual(movers.find(made), state);
  assert.equal(movers.isStopped(state), false);
  process.kill(state.pid, 'SIGSTOP');
  await untilSo(() => movers.isStopped(state));
  assert.deepEqual(movers.find(made), state, 'it is there all the same');
  // To signal a group by its leader's pid works only where the process leads one.
  process.kill(-state.pid, 'SIGKILL');
  await ended.promise;
  assert.equal(movers.find(made), undefined);
});

test('the log of movers that write without end keeps its last part', async (t) => {
  const made = migration(t);
  const movers = moverProcesses('unused.json');
  await movers.capLog(made);
  const log = path.join(made.dir, 'mover.log');
  writeFileSync(log, `${'early\n'.repeat(1_000_000)}last words\n`);
  await movers.capLog(made);
  assert.ok(statSync(log).size < 2 ** 21, String(statSync(log).size));
  assert.match(readFileSync(log, 'utf8'), /dropped\]\n[^]*\nlast words\n$/);
});

test('a mover that ends before it is ready is refused with its last words', async (t) => {
  const made = migration(t);
  const text = `throw new Error('the disk is full');`;
  const movers = moverProcesses('unused.json', program(t, text));
  const start = movers.start(made, () => {});
  await assert.rejects(start, { code: 'GODWIT_INTERNAL', message: /Error: the disk is full/ });
  assert.equal(movers.find(made), undefined);
});
