import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { MAX_READ_BYTES, NfsClient } from '../../../../src/disks/proof/nfs/client.ts';
import { recordOf } from '../../../../src/disks/proof/nfs/records.ts';
import { MemoryServer } from './server.ts';

const PLACE = { host: '127.0.0.1', path: '/srv' };
const soon = (): AbortSignal => AbortSignal.timeout(5000);

describe('the NFS client', () => {
  let server: MemoryServer;
  let port: number;
  beforeEach(async () => {
    server = new MemoryServer();
    server.add('vm', 'directory');
    port = await server.listen();
  });
  afterEach(() => server.close());

  const open = (place: object = {}): Promise<NfsClient> =>
    NfsClient.open({ ...PLACE, ...place }, soon(), port);

  test('the client creates a file, writes to it, reads it and removes it', async () => {
    const client = await open();
    const { handle: directory, kind } = await client.lookup(client.root, 'vm', soon());
    assert.equal(kind, 'directory');
    const file = await client.create(directory, 'new', soon());
    await client.write(file, 0, Buffer.from('one'), soon());
    await client.write(file, 3, Buffer.from('two'), soon());
    assert.equal((await client.read(file, 100, soon())).toString(), 'onetwo');
    assert.deepEqual(server.names('vm'), ['new']);
    await client.remove(directory, 'new', soon());
    assert.deepEqual(server.names('vm'), []);
    client.close();
  });

  test("the client reports the server's objection to a call as a file system code", async () => {
    const client = await open();
    await assert.rejects(client.lookup(client.root, 'gone', soon()), { code: 'ENOENT' });
    server.add('file', 'file', 'x');
    await assert.rejects(client.create(client.root, 'file', soon()), { code: 'EEXIST' });
    const { handle } = await client.lookup(client.root, 'file', soon());
    await assert.rejects(client.lookup(handle, 'x', soon()), { code: 'ENOTDIR' });
    client.close();
    await assert.rejects(open({ path: '/etc' }), { code: 'EACCES', message: /cannot be mounted/ });
  });

  test('the client acts as the configured user', async () => {
    server.add('of-root', 'file', 'x');
    const [root, other] = [await open({ user: 0 }), await open({ user: 64_055, group: 5 })];
    const { handle } = await root.lookup(root.root, 'of-root', soon());
    await root.write(handle, 1, Buffer.from('y'), soon());
    await assert.rejects(other.write(handle, 0, Buffer.from('z'), soon()), { code: 'EACCES' });
    root.close();
    other.close();
  });

  test("the client leaves no mount behind in the server's list", async () => {
    (await open()).close();
    assert.deepEqual(server.calls, ['100000/3', '100000/3', '100005/1', '100005/3']);
  });

  test('the client reads no more than it requested, whatever the server sends', async () => {
    const client = await open();
    const file = await client.create(client.root, 'large', soon());
    server.answers.set('100003/6', (message) => {
      const long = Buffer.alloc(8 + MAX_READ_BYTES);
      long.writeUInt32BE(1, 0);
      long.writeUInt32BE(MAX_READ_BYTES, 4);
      return recordOf(Buffer.concat([message.subarray(0, 28), Buffer.alloc(8), long]));
    });
    await assert.rejects(client.read(file, 10, soon()), /out of bounds|may be|neither/);
    client.close();
  });

  test('the client ends with its signal, even if the server is silent', async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port: quiet } = silent.address() as AddressInfo;
    const stop = new AbortController();
    const opening = NfsClient.open(PLACE, stop.signal, quiet);
    stop.abort(new Error('enough'));
    await assert.rejects(opening, /enough/);
    await new Promise((resolve) => silent.close(resolve));
  });

  test('the client accepts no answer to another call, no truncated answer, and none without an end', async () => {
    const client = await open();
    const odd: [string, (message: Buffer) => Buffer][] = [
      ['what was not asked', (message) => recordOf(Buffer.concat([Buffer.alloc(4), message]))],
      ['ends early', (message) => recordOf(message.subarray(0, 30))],
      ['too long', () => Buffer.from([0x7f, 0xff, 0xff, 0xff])],
      ['too long', () => Buffer.alloc(4 * 65)],
    ];
    client.close();
    for (const [said, answer] of odd) {
      const each = await open();
      server.answers.set('100003/3', answer);
      await assert.rejects(each.lookup(each.root, 'vm', soon()), new RegExp(said));
      each.close();
      server.answers.clear();
    }
  });

  test('the client ends every call, whatever bytes come as the answer', async () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map((each) => Buffer.from(each));
    const procedures = ['100000/3', '100005/1', '100003/3', '100003/8', '100003/7', '100003/6'];
    const heads = fc.constantFrom(0, 12, 24, 28, 32);
    const work = async (): Promise<void> => {
      const client = await open();
      try {
        await client.lookup(client.root, 'vm', soon());
        const file = await client.create(client.root, 'f', soon());
        await client.write(file, 0, Buffer.from('x'), soon());
        assert.ok((await client.read(file, 129, soon())).length <= 129);
        await client.remove(client.root, 'f', soon());
      } finally {
        client.close();
      }
    };
    const property = fc.asyncProperty(
      fc.constantFrom(...procedures),
      heads,
      bytes,
      async (procedure, kept, noise) => {
        server.answers.set(procedure, (message) =>
          recordOf(Buffer.concat([message.subarray(0, kept), noise])),
        );
        await work().catch((error: unknown) => {
          // No deadline, no crash of its own: it knew that this is no answer, or the noise was one.
          assert.ok(error instanceof Error, String(error));
          assert.ok(['Error', 'XdrError'].includes(error.name), String(error));
        });
        server.answers.clear();
        server.root.children.delete('f');
      },
    );
    await fc.assert(property, { numRuns: 150 });
  });
});
