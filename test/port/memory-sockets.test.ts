import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { SocketUser } from '../../src/port/managed.ts';
import { openToUser, whyNoSockets } from '../../src/port/memory-sockets.ts';
import { tempDir } from '../rpc/test-contract.ts';

const LIVES = new AbortController().signal;
const OWN = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
const OTHER = { uid: 64_055, gid: 64_055 };
const notRoot = OWN.uid === 0 ? false : 'only root gives something to another user';

/** A directory that everybody reaches. */
function directory(t: TestContext): string {
  const above = tempDir(t);
  chmodSync(above, 0o755);
  const made = path.join(above, 'sockets');
  mkdirSync(made);
  return made;
}

async function why(
  at: string,
  user: SocketUser | undefined,
  place = at,
): Promise<string | undefined> {
  return whyNoSockets({ place, directory: at, user: async () => user }, 'a', LIVES);
}

describe('a socket directory', () => {
  test('a socket directory serves its owner, and any unnamed user', async (t) => {
    const at = directory(t);
    assert.equal(await why(at, OWN), undefined);
    assert.equal(await why(at, undefined), undefined);
    assert.equal(await whyNoSockets({ place: at, directory: at }, 'a', LIVES), undefined);
  });

  test('a socket directory is refused if it is missing, or its name leaves no room', async (t) => {
    const at = directory(t);
    assert.match((await why(path.join(at, 'none'), OWN)) ?? '', /none cannot be used for sockets/);
    const long = `/${'x'.repeat(90)}`;
    assert.match((await why(at, OWN, long)) ?? '', /cannot be used for sockets/);
  });

  test("a socket directory is refused if it belongs to another user than QEMU's", async (t) => {
    const at = directory(t);
    chmodSync(at, 0o777);
    assert.match(
      (await why(at, OTHER)) ?? '',
      /it is of uid \d+, and its hypervisor runs as uid 64055$/,
    );
  });

  test(
    "a socket directory without write access for QEMU's user is refused",
    { skip: notRoot },
    async (t) => {
      const at = directory(t);
      chownSync(at, OTHER.uid, OTHER.gid);
      assert.equal(await why(at, OTHER), undefined);
      chmodSync(at, 0o555);
      assert.match(
        (await why(at, OTHER)) ?? '',
        /its hypervisor runs as uid 64055, which may not make sockets/,
      );
    },
  );

  test(
    "a socket directory that QEMU's user visibly cannot reach is refused",
    { skip: notRoot },
    async (t) => {
      const at = directory(t);
      chownSync(at, OTHER.uid, OTHER.gid);
      chmodSync(path.dirname(at), 0o700);
      assert.match((await why(at, OTHER)) ?? '', /uid 64055, which may not pass through \//);
      assert.equal(await why(at, OTHER, '/as/the/manager/names/it'), undefined);
      // A group that it may be in.
      chmodSync(path.dirname(at), 0o710);
      assert.equal(await why(at, OTHER), undefined);
    },
  );

  test("a socket directory is refused while its manager does not report QEMU's user", async (t) => {
    const at = directory(t);
    const user = (): Promise<never> => Promise.reject(new Error('it is silent'));
    const said = await whyNoSockets({ place: at, directory: at, user }, 'a', LIVES);
    assert.match(said ?? '', /it is silent/);
  });
});

describe('a socket for a hypervisor', () => {
  async function listening(t: TestContext): Promise<string> {
    const socket = path.join(directory(t), 'x.sock');
    const server = createServer();
    server.listen({ path: socket });
    await once(server, 'listening');
    t.after(() => server.close());
    return socket;
  }

  test("a hypervisor's socket is given to QEMU's user", { skip: notRoot }, async (t) => {
    const socket = await listening(t);
    openToUser(socket, undefined);
    assert.equal(statSync(socket).uid, OWN.uid);
    openToUser(socket, OTHER);
    assert.deepEqual([statSync(socket).uid, statSync(socket).gid], [OTHER.uid, OTHER.gid]);
  });

  test(
    'only the socket under its original name changes its owner',
    { skip: notRoot },
    async (t) => {
      const socket = await listening(t);
      const at = path.dirname(socket);
      const [link, file, twin] = ['link', 'file', 'twin'].map((name) => path.join(at, name));
      assert.ok(link !== undefined && file !== undefined && twin !== undefined);
      symlinkSync(socket, link);
      writeFileSync(file, '');
      assert.throws(() => openToUser(link, OTHER), /no socket/);
      assert.throws(() => openToUser(file, OTHER), /no socket/);
      linkSync(socket, twin);
      assert.throws(() => openToUser(twin, OTHER), /another socket/);
      assert.deepEqual([statSync(socket).uid, statSync(file).uid], [OWN.uid, OWN.uid]);
    },
  );
});
