import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { reportReady } from '../../src/mover/startup.ts';
import { moverState } from '../../src/protocol/mover/request.ts';
import { tempDir } from '../rpc/test-contract.ts';

test('a mover identifies itself in a separate file, completely or not at all', (t) => {
  const directory = tempDir(t);
  const state = { pid: process.pid, startTicks: 7, socket: 'mover.sock' };
  reportReady(directory, state);
  reportReady(directory, { ...state, startTicks: 8 });
  const file = path.join(directory, 'mover.json');
  const written = moverState.parse(JSON.parse(readFileSync(file, 'utf8')));
  assert.equal(written.startTicks, 8);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(directory), ['mover.json']);
});
