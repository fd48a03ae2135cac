import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { probeServer } from '../../../../src/drivers/qemu/mirror/probe.ts';
import { hasCode } from '../../../../src/errors.ts';

describe("the connection to the other host's disks", () => {
  let top: string;
  const signal = AbortSignal.timeout(10_000);

  before(async () => {
    top = await mkdtemp(path.join(os.tmpdir(), 'godwit-probe-'));
  });
  after(() => rm(top, { recursive: true, force: true }));

  async function answering<T>(
    answer: (socket: net.Socket) => void,
    work: (socket: string) => Promise<T>,
  ): Promise<T> {
    const at = path.join(top, 'nbd.sock');
    const open = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      open.add(socket);
      socket.on('error', () => undefined);
      answer(socket);
    });
    server.listen(at);
    await once(server, 'listening');
    try {
      return await work(at);
    } finally {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    }
  }

  test('the connection is open once an NBD server greets, however small its pieces', async () => {
    const greet = (socket: net.Socket): void => {
      socket.write('NBDM');
      setImmediate(() => socket.write('AGICIHAVEOPT'));
    };
    await answering(greet, (at) => probeServer(at, signal));
  });

  test('the connection is not open if another service answers, or it closes, or nothing listens', async () => {
    const other = answering(
      (socket) => void socket.write('HTTP/1.1 200'),
      (at) => probeServer(at, signal),
    );
    await assert.rejects(other, /no NBD server/);
    const closed = answering(
      (socket) => void socket.end(),
      (at) => probeServer(at, signal),
    );
    await assert.rejects(closed, /closed before it greeted/);
    await assert.rejects(probeServer(path.join(top, 'none.sock'), signal), /ENOENT/);
  });

  test('the attempt is given up when its caller stops waiting', async () => {
    const own = new AbortController();
    const silent = answering(
      () => own.abort(new Error('enough')),
      (at) => probeServer(at, own.signal),
    );
    await assert.rejects(silent, (error) => !hasCode(error, 'GODWIT_DEADLINE'));
  });
});
