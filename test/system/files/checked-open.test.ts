import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { NbdClient } from '../../../src/disks/copy/nbd/client.ts';
import { connectMonitor } from '../../../src/drivers/qemu/qmp/connect.ts';
import { connectSocket, readEnd } from '../../../src/system/files/checked-open.ts';
import { LocalSocket } from '../../../src/links/local-socket.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { untilSo } from '../../until.ts';

const isRoot = process.getuid?.() === 0;
const skip = isRoot ? false : 'only root has other users';
/** The users of two guests' QEMUs. */
const [GUEST, OTHER] = [1_880_000_001, 1_880_000_002];
const SOCKET = 'qmp.sock';

/** Each way by which Godwit connects to a socket that a guest's QEMU made. */
const ways: Readonly<Record<string, (file: string, signal: AbortSignal) => Promise<unknown>>> = {
  'its monitor': (file, signal) => {
    const owner = { host: 'a', guest: 'web1', side: 'destination' } as const;
    return connectMonitor({ ...owner, path: file, user: GUEST }, 200, signal);
  },
  'its disks': (file, signal) => NbdClient.open(file, 'disk', signal),
  'its stream': async (file) => (await LocalSocket.connect(file)).break(),
};

/** What a QEMU that was taken over could put in the socket's place. */
const replacements: Readonly<Record<string, (dir: string, victim: string) => void>> = {
  'a link to a socket of root': (dir, victim) => asGuest(dir, `ln -s ${victim} ${SOCKET}`),
  'a link to another link of its own': (dir, victim) =>
    asGuest(dir, `ln -s ${victim} own; ln -s own ${SOCKET}`),
  // As where the kernel lets users make other names of what is not theirs (fs.protected_hardlinks=0).
  'another name of a socket of root': (dir, victim) => fs.linkSync(victim, path.join(dir, SOCKET)),
  'a socket of another guest': (dir, victim) => {
    fs.chownSync(victim, OTHER, OTHER);
    fs.linkSync(victim, path.join(dir, SOCKET));
  },
  'a file': (dir) => asGuest(dir, `echo > ${SOCKET}`),
  'a pipe': (dir) => asGuest(dir, `mkfifo ${SOCKET}`),
};

describe("a socket of a guest's QEMU", { skip }, () => {
  for (const [what, replace] of Object.entries(replacements)) {
    for (const [way, connect] of Object.entries(ways)) {
      test(`a QEMU socket is not opened by way of ${way} once ${what} replaced it`, async (t) => {
        const dir = guestDir(t);
        const victim = path.join(tempDir(t), 'root.sock');
        const heard = await listen(t, victim);
        const own = path.join(dir, SOCKET);
        await listen(t, own);
        fs.chownSync(own, GUEST, GUEST);
        asGuest(dir, `rm ${SOCKET}`);
        replace(dir, victim);
        await assert.rejects(connect(own, AbortSignal.timeout(5000)));
        // A connection that was made would be there by now: the kernel takes them in order.
        connectSocket(victim, 'anybody').on('error', () => undefined);
        await untilSo(() => heard.length > 0);
        assert.equal(heard.length, 1);
      });
    }
  }

  test('a QEMU socket is opened as long as it is unchanged', async (t) => {
    const own = path.join(guestDir(t), SOCKET);
    const heard = await listen(t, own);
    fs.chownSync(own, GUEST, GUEST);
    for (const owner of [GUEST, 'directory', 'anybody'] as const) {
      await once(connectSocket(own, owner), 'connect');
    }
    await once(connectSocket(own, OTHER), 'error');
    assert.equal(heard.length, 3);
  });

  test('a QEMU socket is opened if its QEMU was root when it began to listen', async (t) => {
    const dir = tempDir(t);
    const own = path.join(dir, SOCKET);
    await listen(t, own);
    const answers = async (): Promise<boolean> => {
      const [event] = await Promise.race(
        ['connect', 'error'].map((name) => named(connectSocket(own, GUEST), name)),
      );
      return event === 'connect';
    };
    assert.equal(await answers(), true);
    // A directory of that user, who can have put anything there.
    fs.chmodSync(dir, 0o770);
    fs.chownSync(dir, GUEST, GUEST);
    assert.equal(await answers(), false);
  });
});

describe('a socket without a listener', () => {
  test('a socket without a listener is an error with its path', async (t) => {
    const file = path.join(tempDir(t), SOCKET);
    const server = net.createServer().listen(`${file}.first`);
    await once(server, 'listening');
    fs.linkSync(`${file}.first`, file);
    await promisedClose(server);
    const [error] = (await once(connectSocket(file, 'anybody'), 'error')) as [Error];
    assert.match(error.message, /ECONNREFUSED/);
    assert.ok(error.message.endsWith(file), error.message);
  });
});

describe("a file of a guest's QEMU", () => {
  test('a file of QEMU is read from its end, however long it is', (t) => {
    const file = path.join(tempDir(t), 'log');
    fs.writeFileSync(file, 'the end');
    fs.truncateSync(file, 2 ** 40);
    fs.appendFileSync(file, 'the end');
    assert.equal(readEnd(file, 7), 'the end');
    fs.writeFileSync(file, 'short');
    assert.equal(readEnd(file, 7), 'short');
  });

  test('a file of QEMU is not awaited or followed if it is a pipe, a link or a device', (t) => {
    const dir = tempDir(t);
    execFileSync('sh', ['-c', 'mkfifo pipe; ln -s /dev/zero zero; echo 1 > 1; ln -s 1 link'], {
      cwd: dir,
    });
    for (const name of ['pipe', 'zero', 'link']) {
      assert.throws(() => readEnd(path.join(dir, name), 8), /no plain file/);
    }
    assert.throws(() => readEnd('/dev/zero', 8), /no plain file/);
  });
});

function guestDir(t: TestContext): string {
  const dir = path.join(tempDir(t), 'web1');
  fs.chmodSync(path.dirname(dir), 0o711);
  fs.mkdirSync(dir);
  fs.chownSync(dir, 0, GUEST);
  fs.chmodSync(dir, 0o1770);
  return dir;
}

function asGuest(cwd: string, script: string): void {
  const words = [`--reuid=${GUEST}`, `--regid=${GUEST}`, '--clear-groups', 'sh', '-ec', script];
  execFileSync('setpriv', words, { cwd });
}

/** What connects to it. */
async function listen(t: TestContext, file: string): Promise<net.Socket[]> {
  const heard: net.Socket[] = [];
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    heard.push(socket);
  });
  server.listen(file);
  await once(server, 'listening');
  t.after(() => {
    for (const socket of heard) socket.destroy();
    server.close();
  });
  return heard;
}

async function named(socket: net.Socket, name: string): Promise<[string]> {
  await once(socket, name).catch(() => new Promise(() => undefined));
  socket.destroy();
  return [name];
}

async function promisedClose(server: net.Server): Promise<void> {
  server.close();
  await once(server, 'close');
}
