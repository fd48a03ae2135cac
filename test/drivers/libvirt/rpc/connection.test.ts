import assert from 'node:assert/strict';
import { once } from 'node:events';
import { renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { initCa, issue } from '../../../../src/pki/authority.ts';
import {
  connectedLocally,
  LibvirtConnection,
  LibvirtRefusal,
} from '../../../../src/drivers/libvirt/rpc/connection.ts';
import {
  encodePacket,
  KEEPALIVE_PROGRAM,
  PacketSplitter,
  REMOTE_PROGRAM,
  type Packet,
} from '../../../../src/drivers/libvirt/rpc/packets.ts';
import { hasCode } from '../../../../src/errors.ts';
import { XdrWriter } from '../../../../src/formats/xdr.ts';
import { tempDir } from '../../../rpc/test-contract.ts';

const NONE = { ca: '/none', cert: '/none', key: '/none' };
const NOTHING = Buffer.alloc(0);

type Answer = (packet: Packet, socket: Socket) => void;

function reply(packet: Packet, body: Buffer, status = 0): Buffer {
  return encodePacket({ ...packet, type: 1, status, body });
}

function serve(socket: Socket, answer: Answer): void {
  const splitter = new PacketSplitter();
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    for (const packet of splitter.push(chunk)) answer(packet, socket);
  });
}

async function listening(t: TestContext, server: Server, at: object): Promise<void> {
  server.listen(at);
  await once(server, 'listening');
  t.after(() => server.close());
}

async function daemon(t: TestContext, answer: Answer): Promise<LibvirtConnection> {
  const socket = path.join(tempDir(t), 'libvirt-sock');
  await listening(
    t,
    createServer((each) => serve(each, answer)),
    { path: socket },
  );
  const uri = `qemu+unix:///system?socket=${socket}`;
  const connection = await LibvirtConnection.open(uri, NONE, AbortSignal.timeout(5000));
  t.after(() => connection.close());
  return connection;
}

const signal = AbortSignal.timeout(60_000);

describe('a connection to libvirt', () => {
  test('a connection gives each call its answer, in whatever order they come', async (t) => {
    const waiting: Packet[] = [];
    const connection = await daemon(t, (packet, socket) => {
      waiting.push(packet);
      if (waiting.length < 3) return;
      for (const each of waiting.toReversed()) socket.write(reply(each, each.body));
    });
    const bodies = ['one', 'two', 'three'].map((text) => new XdrWriter().string(text).bytes());
    const answers = await Promise.all(bodies.map((body) => connection.call(14, body, signal)));
    assert.deepEqual(answers, bodies);
  });

  test("a connection rejects with libvirt's message, and continues", async (t) => {
    const error = new XdrWriter().int32(42).int32(10).optionalString('no domain').int32(2).bytes();
    const connection = await daemon(t, (packet, socket) => {
      socket.write(packet.procedure === 1 ? reply(packet, error, 1) : reply(packet, NOTHING));
    });
    await assert.rejects(connection.call(1, NOTHING, signal), (thrown) => {
      assert.ok(thrown instanceof LibvirtRefusal);
      assert.deepEqual([thrown.libvirt.code, thrown.message], [42, 'no domain']);
      return true;
    });
    assert.deepEqual(await connection.call(2, NOTHING, signal), NOTHING);
  });

  test("a connection answers the daemon's keepalive", async (t) => {
    let pong: ((packet: Packet) => void) | undefined;
    const came = new Promise<Packet>((resolve) => (pong = resolve));
    const connection = await daemon(t, (packet, socket) => {
      if (packet.program === KEEPALIVE_PROGRAM) return pong?.(packet);
      const ping = { ...packet, program: KEEPALIVE_PROGRAM, procedure: 1, type: 2, serial: 0 };
      socket.write(encodePacket({ ...ping, body: NOTHING }));
      return undefined;
    });
    connection.callToTheEnd(1, NOTHING).catch(() => undefined);
    assert.deepEqual([(await came).procedure, (await came).type], [2, 2]);
  });

  test('a connection ignores unrequested messages', async (t) => {
    const connection = await daemon(t, (packet, socket) => {
      socket.write(encodePacket({ ...packet, procedure: 318, type: 2, serial: 0 }));
      socket.write(encodePacket({ ...packet, program: REMOTE_PROGRAM, type: 1, serial: 99 }));
      socket.write(reply(packet, NOTHING));
    });
    assert.deepEqual(await connection.call(1, NOTHING, signal), NOTHING);
  });

  test('a connection that ends, or sends a malformed packet, ends every waiting call', async (t) => {
    for (const harm of [
      (each: Socket) => each.destroy(),
      (each: Socket) => each.write('x'.repeat(64)),
    ]) {
      const connection = await daemon(t, (_packet, socket) => void harm(socket));
      const calls = [connection.call(1, NOTHING, signal), connection.callToTheEnd(2, NOTHING)];
      for (const call of calls) await assert.rejects(call, { code: 'GODWIT_UNREACHABLE' });
      await assert.rejects(connection.call(3, NOTHING, signal), { code: 'GODWIT_UNREACHABLE' });
    }
  });

  test('a connection limits concurrent calls, and gives up at the deadline', async (t) => {
    const connection = await daemon(t, () => undefined);
    const many = Array.from({ length: 300 }, () => connection.callToTheEnd(1, NOTHING));
    const ended = Promise.allSettled(many);
    await assert.rejects(connection.call(1, NOTHING, signal, 20), { code: 'GODWIT_UNREACHABLE' });
    connection.close();
    assert.ok((await ended).every(({ status }) => status === 'rejected'));
    const silent = await daemon(t, () => undefined);
    await assert.rejects(silent.call(1, NOTHING, signal, 20), { code: 'GODWIT_DEADLINE' });
  });

  test('a connection over TLS begins once the daemon has accepted the certificate', async (t) => {
    const dir = tempDir(t);
    await initCa(dir);
    const own = await issue({ caDir: dir, name: 'a', role: 'agent', addresses: ['127.0.0.1'] });
    const files = { ca: `${dir}/ca.pem`, cert: `${dir}/cert.pem`, key: `${dir}/key.pem` };
    writeFileSync(files.ca, own.ca);
    writeFileSync(files.cert, own.cert);
    writeFileSync(files.key, own.key);
    for (const first of [1, 0]) {
      const options = { ca: own.ca, cert: own.cert, key: own.key, requestCert: true };
      const server = createTlsServer(options, (socket) => {
        serve(socket, (packet) => socket.write(reply(packet, packet.body)));
        socket.write(Buffer.from([first]));
      });
      await listening(t, server, { host: '127.0.0.1', port: 0 });
      const address = server.address();
      assert.ok(address !== null && typeof address === 'object');
      const uri = `qemu+tls://127.0.0.1:${address.port}/system`;
      const opening = LibvirtConnection.open(uri, files, signal);
      if (first === 0) {
        await assert.rejects(opening, /does not take the certificate/);
        continue;
      }
      const connection = await opening;
      const body = new XdrWriter().string('over TLS').bytes();
      assert.deepEqual(await connection.call(1, body, signal), body);
      connection.close();
    }
    const gone = LibvirtConnection.open('qemu+tls://127.0.0.1:1/system', NONE, signal);
    await assert.rejects(gone, { code: 'GODWIT_UNREACHABLE' });
  });
});

describe('a host whose daemon has one of two sockets', () => {
  const uri = 'qemu+unix:///system';

  async function said(...paths: readonly string[]): Promise<string> {
    const [words] = (await once(await connectedLocally(uri, paths, signal), 'data')) as [Buffer];
    return words.toString();
  }

  test("the host is reached by virtqemud's socket if libvirtd's is missing or was left behind", async (t) => {
    const dir = tempDir(t);
    const [libvirtd, virtqemud] = ['libvirt-sock', 'virtqemud-sock'].map((name) =>
      path.join(dir, name),
    ) as [string, string];
    const server = createServer((each) => each.end('virtqemud'));
    await listening(t, server, { path: virtqemud });
    assert.equal(await said(libvirtd, virtqemud), 'virtqemud');
    const before = createServer();
    before.listen(`${libvirtd}-1`);
    await once(before, 'listening');
    // Node removes it by the name that it had.
    renameSync(`${libvirtd}-1`, libvirtd);
    before.close();
    await once(before, 'close');
    assert.equal(await said(libvirtd, virtqemud), 'virtqemud');
  });

  test("the host is unreachable under libvirtd's name if both sockets are missing", async (t) => {
    const dir = tempDir(t);
    const paths = ['one', 'other'].map((name) => path.join(dir, name));
    await assert.rejects(connectedLocally(uri, paths, signal), (thrown) => {
      assert.match(String(thrown), /ENOENT.*\/one/);
      return hasCode(thrown, 'GODWIT_UNREACHABLE');
    });
  });
});
