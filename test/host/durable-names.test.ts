import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { initCa, issue, storeCredentials } from '../../src/pki/authority.ts';
import { pendingRequest, takeIntoUse } from '../../src/pki/pending.ts';
import { makeToken, redeemToken } from '../../src/pki/token.ts';
import { makeRequest, signRequest } from '../../src/pki/x509.ts';
import { readAuthority, writePrivate } from '../../src/pki/files.ts';
import { writeContexts } from '../../src/cli/connection/fleet-contexts.ts';
import { Records } from '../../src/drivers/criu/link/records.ts';
import { ageStore } from '../../src/system/files/store-age.ts';
import { SyncedLines } from '../../src/system/files/synced-lines.ts';
import { writeWhole } from '../../src/system/files/whole-file.ts';
import { tempDir } from '../rpc/test-contract.ts';

/** Reports what was named or made and whose directory was not synced after that: a power loss may undo it. */
function undurable(t: TestContext): () => string[] {
  const open = new Map<number, string>();
  const named = new Map<string, string>();
  const spied = t.mock;
  const { openSync, fsyncSync, renameSync, linkSync, mkdirSync } = fs;
  spied.method(fs, 'openSync', (...args: Parameters<typeof openSync>) => {
    const fd = openSync(...args);
    open.set(fd, path.resolve(String(args[0])));
    return fd;
  });
  spied.method(fs, 'fsyncSync', (fd: number) => {
    fsyncSync(fd);
    for (const [file] of named) if (path.dirname(file) === open.get(fd)) named.delete(file);
  });
  const note = (verb: string, file: fs.PathLike): void => {
    named.set(path.resolve(String(file)), verb);
  };
  spied.method(fs, 'renameSync', (from: fs.PathLike, to: fs.PathLike) => {
    renameSync(from, to);
    note('renamed', to);
  });
  spied.method(fs, 'linkSync', (from: fs.PathLike, to: fs.PathLike) => {
    linkSync(from, to);
    note('linked', to);
  });
  spied.method(fs, 'mkdirSync', (...args: Parameters<typeof mkdirSync>) => {
    const first = mkdirSync(...args);
    if (first !== undefined) note('made', first);
    return first;
  });
  syncBuiltinESMExports();
  t.after(() => {
    spied.restoreAll();
    syncBuiltinESMExports();
  });
  return () => [...named].map(([file, verb]) => `${verb} ${file}`);
}

describe('durable files', () => {
  test('files that are written as a whole, and their directories, survive a power loss', async (t) => {
    const root = tempDir(t);
    const left = undurable(t);
    writeWhole(path.join(root, 'state.json'), 'text');
    writePrivate(path.join(root, 'one/two/three', 'key'), 'text');
    ageStore(root, '2026-11-29T00:00:00.000Z');
    new SyncedLines(path.join(root, 'lines')).writeAnew(['a', 'b']);
    writeContexts({ XDG_CONFIG_HOME: root }, { contexts: {} });
    await new Records(path.join(root, 'containers')).write('web1', {
      token: 't',
      mover: { pid: 1, startTicks: 1 },
      memoryBytes: 1,
    });
    assert.deepEqual(left(), []);
  });

  test('a CA, its list of hosts, a used token and a renewed key survive a power loss', async (t) => {
    const root = tempDir(t);
    const caDir = path.join(root, 'ca');
    const pki = path.join(root, 'pki');
    const nowMs = Date.now();
    const left = undurable(t);
    await initCa(caDir);
    storeCredentials(
      pki,
      await issue({ caDir, name: 'a', role: 'agent', addresses: ['127.0.0.1'] }),
    );
    const invited = {
      caDir,
      agent: '127.0.0.1:1',
      name: 'b',
      role: 'agent',
      addresses: [],
      validMs: 60_000,
    } as const;
    await redeemToken(caDir, makeToken(invited, nowMs), (await makeRequest('b')).request, nowMs);
    const request = await pendingRequest(pki, 'a');
    const subject = { name: 'a', role: 'agent', addresses: ['127.0.0.1'] } as const;
    takeIntoUse(
      pki,
      await signRequest(readAuthority(caDir), request, subject, { nowMs, days: 1, fromMs: nowMs }),
    );
    assert.deepEqual(left(), []);
  });
});
