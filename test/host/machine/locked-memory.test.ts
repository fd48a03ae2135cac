import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { lockableBytes, sendBufferBytes } from '../../../src/host/machine/locked-memory.ts';

function proc(
  t: TestContext,
  capabilities: string,
  soft: string,
  namespace = 'user:[4026531837]',
): string {
  const root = mkdtempSync(path.join(tmpdir(), 'godwit-locked-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(path.join(root, '7', 'ns'), { recursive: true });
  symlinkSync(namespace, path.join(root, '7', 'ns', 'user'));
  const limit = `Max locked memory         ${soft}              8388608              bytes`;
  writeFileSync(path.join(root, '7', 'status'), `Name:\tqemu\nCapEff:\t${capabilities}\n`);
  writeFileSync(
    path.join(root, '7', 'limits'),
    `Limit   Soft Limit  Hard Limit  Units\n${limit}\n`,
  );
  return root;
}

test('a process may lock as much memory as its limit allows', async (t) => {
  assert.equal(await lockableBytes(7, proc(t, '0000000000000000', '65536')), 65_536);
});

test('a process with CAP_IPC_LOCK, or without a limit, may lock all memory', async (t) => {
  const all = Number.MAX_SAFE_INTEGER;
  assert.equal(await lockableBytes(7, proc(t, '0000000000004000', '65536')), all);
  assert.equal(await lockableBytes(7, proc(t, '000001fffeffbfff', 'unlimited')), all);
  assert.equal(await lockableBytes(7, proc(t, '000001fffeffbfff', '65536')), 65_536);
});

test('a process with CAP_IPC_LOCK in a user namespace is bound by its limit, as in the kernel', async (t) => {
  const root = proc(t, '000001ffffffffff', '65536', 'user:[4026532001]');
  assert.equal(await lockableBytes(7, root), 65_536);
});

test('a process that is gone may lock nothing', async (t) => {
  assert.equal(await lockableBytes(8, proc(t, '0', '65536')), 0);
});

test("a connection's bytes in flight are limited by the kernel's largest send buffer", async (t) => {
  const root = proc(t, '0', '0');
  const file = path.join(root, 'tcp_wmem');
  writeFileSync(file, '4096\t16384\t8388608\n');
  assert.equal(await sendBufferBytes(file), 8_388_608);
  assert.equal(await sendBufferBytes(path.join(root, 'none')), 4_194_304);
});
