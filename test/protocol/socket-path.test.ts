import assert from 'node:assert/strict';
import { mkdtempSync, globSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  checkSocketPath,
  checkSocketsBelow,
  MAX_SOCKET_PATH,
} from '../../src/protocol/socket-path.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const isTaken = (work: () => void): boolean => {
  try {
    work();
    return true;
  } catch (thrown) {
    assert.equal((thrown as { code?: string }).code, 'GODWIT_PATH_LONG');
    return false;
  }
};

describe('a socket path', () => {
  test("a socket path ends at the kernel's limit", async (t) => {
    const dir = mkdtempSync(path.join(tmpdir(), 'sock-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const file = path.join(dir, 'x'.repeat(MAX_SOCKET_PATH - dir.length - 1));
    checkSocketPath(file);
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(file, resolve));
    await new Promise((resolve) => server.close(resolve));
    assert.throws(() => checkSocketPath(`${file}x`), {
      code: 'GODWIT_PATH_LONG',
      message: /has 108 bytes, and a Unix socket path can have at most 107/,
    });
  });

  test('a socket path counts bytes, not letters', () => {
    assert.ok(isTaken(() => checkSocketPath('ü'.repeat(53))));
    assert.ok(!isTaken(() => checkSocketPath('ü'.repeat(54))));
  });

  test('a state directory has room for every socket of a migration and of a guest, or for none', () => {
    const sources = globSync('src/{mover,drivers,disks,wire,agent}/**/*.ts', { cwd: ROOT });
    const text = sources.map((file) => readFileSync(path.join(ROOT, file), 'utf8')).join('\n');
    const names = [...text.matchAll(/'([a-z-]+\.sock)'/g)].map(([, name = '']) => name);
    assert.ok(names.includes('mover.sock') && names.includes('qmp.sock'), names.join());
    // Made beside the monitor of a guest, never in the directory of a migration.
    const ofMigration = names.filter((name) => !name.startsWith('godwit-'));
    const name = fc.string({ unit: fc.constantFrom('a', '1', '-'), minLength: 1, maxLength: 63 });
    fc.assert(
      fc.property(name, name, name, (dir, id, guest) => {
        const stateDir = `/var/${dir}`;
        if (!isTaken(() => checkSocketsBelow(stateDir, { id, guest }))) return;
        for (const each of ofMigration) checkSocketPath(`${stateDir}/migrations/${id}/${each}`);
        for (const each of names) checkSocketPath(`${stateDir}/guests/${guest}/${each}`);
      }),
    );
  });
});
