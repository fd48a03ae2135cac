import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { hasRdma } from '../../../src/drivers/qemu/programs/binaries.ts';
import { listen, uriOf } from '../../../src/drivers/qemu/incoming.ts';
import type { QmpClient } from '../../../src/drivers/qemu/qmp/client.ts';
import {
  capabilityList,
  streamObstacles,
  type StreamAbilities,
} from '../../../src/drivers/qemu/stream.ts';

const NEW: StreamAbilities = {
  version: '10.0.2',
  capabilities: ['events', 'return-path', 'pause-before-switchover', 'multifd', 'zero-copy-send'],
  multifdCompression: ['none', 'zstd'],
  rdma: true,
};
const OLD = { ...NEW, version: '7.0.0', capabilities: NEW.capabilities.slice(0, -1) };
const ZERO = { mode: 'precopy', streams: 4, compress: 'none', transport: 'zero-copy' } as const;
const RDMA = { ...ZERO, streams: 1, transport: 'rdma' } as const;

const reasons = (...asked: Parameters<typeof streamObstacles>): string[] =>
  streamObstacles(...asked).map(({ reason }) => reason);

describe('zero-copy memory', () => {
  test('zero-copy is possible on several plain streams', () => {
    assert.deepEqual(reasons(ZERO, NEW), []);
  });

  test('zero-copy is refused with the missing feature', () => {
    assert.match(reasons({ ...ZERO, streams: 1 }, NEW)[0] ?? '', /several streams/);
    assert.match(reasons({ ...ZERO, compress: 'zstd' }, NEW)[0] ?? '', /uncompressed/);
    assert.match(reasons({ ...ZERO, mode: 'hybrid' }, NEW)[0] ?? '', /not for hybrid/);
    assert.deepEqual(reasons(ZERO, OLD), ['QEMU 7.0.0 lacks zero-copy-send']);
  });

  test('zero-copy memory arrives at a QEMU that cannot send it that way', () => {
    assert.deepEqual(reasons(ZERO, OLD, false), []);
    assert.equal(reasons({ ...ZERO, streams: 1 }, OLD, false).length, 1);
  });

  test('zero-copy is refused if the process may lock less than can be under way, with the remedy', () => {
    const lockable = { pid: 77, bytes: 8_388_608, neededBytes: 16_777_216 };
    const [found] = streamObstacles(ZERO, { ...NEW, lockable });
    assert.match(found?.reason ?? '', /may lock 8\.?\d* M.*up to 16/);
    assert.match(found?.hint ?? '', /`prlimit --pid 77 --memlock=16777216`/);
    const enough = { ...lockable, bytes: 16_777_216 };
    assert.deepEqual(reasons(ZERO, { ...NEW, lockable: enough }), []);
  });

  test('zero-copy is a capability of the source alone, and off for every other stream', () => {
    const state = (...asked: Parameters<typeof capabilityList>): boolean | undefined =>
      capabilityList(...asked).find(({ capability }) => capability === 'zero-copy-send')?.state;
    assert.equal(state(ZERO, NEW.capabilities), true);
    assert.equal(state(ZERO, NEW.capabilities, false), false);
    assert.equal(state(RDMA, NEW.capabilities), false);
    assert.equal(state(ZERO, OLD.capabilities), undefined);
  });
});

describe('memory by RDMA', () => {
  test('RDMA is possible on one plain stream', () => {
    assert.deepEqual(reasons(RDMA, NEW), []);
  });

  test('RDMA is refused with the missing feature', () => {
    assert.match(reasons({ ...RDMA, streams: 2 }, NEW)[0] ?? '', /one stream over RDMA/);
    assert.deepEqual(reasons(RDMA, { ...NEW, rdma: false }), [
      'QEMU 10.0.2 was built without RDMA',
    ]);
    const lockable = { pid: 7, bytes: 2 ** 20, neededBytes: 2 ** 30 };
    assert.match(reasons(RDMA, { ...NEW, lockable })[0] ?? '', /may lock 1/);
  });

  test('RDMA needs a program that names its library', async (t) => {
    const directory = mkdtempSync(path.join(tmpdir(), 'godwit-rdma-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const file = path.join(directory, 'qemu');
    // Across the border of two pieces that are read.
    writeFileSync(file, `${'\0'.repeat(65_530)}librdmacm.so.1\0`);
    assert.equal(await hasRdma(file), true);
    writeFileSync(file, 'libibverbs.so.1');
    assert.equal(await hasRdma(file), false);
  });

  /** A monitor that takes an address once so many were refused. */
  const monitor = (refusals: number, reason: string) => {
    const asked: unknown[] = [];
    const client = {
      request: async (_command: string, { uri }: { uri: string }) => {
        asked.push(uri);
        return asked.length > refusals ? { ok: true } : { ok: false, reason };
      },
      refused: (command: string, why: string) => new Error(`${command}: ${why}`),
    };
    return { asked, client: client as unknown as QmpClient };
  };
  const where = {
    listenHost: 'fd00::2',
    ports: { from: 50, to: 52 },
    host: 'b',
    transport: 'rdma',
  } as const;
  const signal = new AbortController().signal;

  test('RDMA is awaited on the first free port, and sent there', async () => {
    const { asked, client } = monitor(1, 'RDMA ERROR: could not rdma_bind_addr!');
    const address = await listen(client, where, signal);
    assert.equal(address, '[fd00::2]:51');
    assert.deepEqual(asked, ['rdma:[fd00::2]:50', 'rdma:[fd00::2]:51']);
    assert.equal(uriOf(`rdma:${address}`), 'rdma:[fd00::2]:51');
  });

  test("RDMA is refused with QEMU's message, after each port was tried once", async () => {
    const none = monitor(9, 'RDMA ERROR: no rdma device');
    await assert.rejects(listen(none.client, where, signal), /no rdma device/);
    assert.equal(none.asked.length, 1);
    const full = monitor(9, 'RDMA ERROR: could not rdma_bind_addr!');
    await assert.rejects(listen(full.client, where, signal), { code: 'GODWIT_PORT_NONE' });
    assert.equal(full.asked.length, 3);
  });
});
