import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { NbdClient } from '../../../../src/disks/copy/nbd/client.ts';

const SIZE = 1024 * 1024;
const REPLY = 0x0003_e889_0455_65a9n;

/** What a server says to a request: its parts, the last one marked. */
type Say = (command: number, from: number, length: number) => Buffer[];

interface Habits {
  readonly greeting?: Buffer;
  readonly bitmap?: boolean;
  readonly say?: Say;
  /** Bytes that go out at once. */
  readonly step?: number;
}

/** A server of one export, of which a test says how it behaves. */
function server(habits: Habits): net.Server {
  return net.createServer((socket) => {
    const put = (bytes: Buffer): void => {
      const step = habits.step ?? bytes.length;
      for (let at = 0; at < bytes.length; at += step) socket.write(bytes.subarray(at, at + step));
    };
    socket.on('error', () => undefined);
    put(habits.greeting ?? Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT'), Buffer.from([0, 3])]));
    let heard = Buffer.alloc(0);
    let isFlagged = false;
    let isReady = false;
    socket.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]);
      for (;;) {
        const most = isReady ? 28 : isFlagged ? 16 : 4;
        if (heard.length < most) return;
        if (!isFlagged) {
          isFlagged = true;
          heard = heard.subarray(4);
          continue;
        }
        if (!isReady) {
          const [option, length] = [heard.readUInt32BE(8), heard.readUInt32BE(12)];
          if (heard.length < 16 + length) return;
          heard = heard.subarray(16 + length);
          for (const reply of optionReplies(option, habits)) put(reply);
          isReady = option === 7;
          continue;
        }
        const [command, cookie] = [heard.readUInt16BE(6), heard.readBigUInt64BE(8)];
        const [from, length] = [Number(heard.readBigUInt64BE(16)), heard.readUInt32BE(24)];
        heard = heard.subarray(28);
        if (command === 2) return socket.end();
        for (const part of (habits.say ?? nothing)(command, from, length)) {
          part.writeBigUInt64BE(cookie, 8);
          put(part);
        }
      }
    });
  });
}

function optionReplies(option: number, { bitmap = true }: Habits): Buffer[] {
  const reply = (type: number, data = Buffer.alloc(0)): Buffer => {
    const head = Buffer.alloc(20);
    head.writeBigUInt64BE(REPLY);
    head.writeUInt32BE(option, 8);
    head.writeUInt32BE(type, 12);
    head.writeUInt32BE(data.length, 16);
    return Buffer.concat([head, data]);
  };
  if (option === 10) return bitmap ? [reply(4, Buffer.from('0000qemu')), reply(1)] : [reply(1)];
  if (option !== 7) return [reply(1)];
  const info = Buffer.alloc(12);
  info.writeBigUInt64BE(BigInt(SIZE), 2);
  return [reply(3, info), reply(3, Buffer.from([0, 3, 0, 0])), reply(1)];
}

function part(type: number, payload: Buffer, isLast: boolean): Buffer {
  const head = Buffer.alloc(20);
  head.writeUInt32BE(0x668e_33ef);
  head.writeUInt16BE(isLast ? 1 : 0, 4);
  head.writeUInt16BE(type, 6);
  head.writeUInt32BE(payload.length, 16);
  return Buffer.concat([head, payload]);
}

const at = (from: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(from));
  return bytes;
};
const u32 = (...values: number[]): Buffer =>
  Buffer.concat(
    values.map((value) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value);
      return bytes;
    }),
  );
const nothing: Say = () => [part(0, Buffer.alloc(0), true)];

describe('the NBD client', () => {
  let top: string;
  let listening: net.Server | undefined;
  const signal = AbortSignal.timeout(20_000);

  beforeEach(async () => {
    top = await mkdtemp(path.join(tmpdir(), 'godwit-nbd-'));
  });
  afterEach(async () => {
    listening?.close();
    await rm(top, { recursive: true, force: true });
  });

  async function open(habits: Habits, bitmap?: string): Promise<NbdClient> {
    const socket = path.join(top, 's.sock');
    const made = server(habits);
    listening = made;
    await new Promise<void>((resolve) => made.listen(socket, resolve));
    return NbdClient.open(socket, 'disk0', signal, bitmap);
  }

  test("the client knows from the server's map how far all is zero, and nothing without a map", async () => {
    // Each answer has at most two ranges: what reads as zero, then data from 24 on.
    const say: Say = (_command, from, length) => {
      const zero = Math.max(0, Math.min(8, 24 - from, length));
      const rest = zero < 8 ? [length - zero, 0] : [];
      const ranges = [...(zero > 0 ? [zero, 3] : []), ...rest];
      return [part(5, u32(1, ...ranges), true)];
    };
    const client = await open({ say });
    assert.equal(await client.zeroUntil(0, signal), 24);
    assert.equal(await client.zeroUntil(20, signal), 24);
    assert.equal(await client.zeroUntil(25, signal), 25);
    client.close();
    listening?.close();
    await rm(path.join(top, 's.sock'), { force: true });
    const unmapped = await open({ say, bitmap: false });
    assert.equal(await unmapped.zeroUntil(0, signal), 0);
    unmapped.close();
  });

  test('the client reads data and holes, however they are divided', async () => {
    const say: Say = (_command, from) => [
      part(1, Buffer.concat([at(from), Buffer.from('abcd')]), false),
      part(2, Buffer.concat([at(from + 4), u32(4)]), true),
    ];
    const client = await open({ say, step: 3 });
    assert.equal(client.size, SIZE);
    assert.deepEqual(await client.read(4096, 8, signal), Buffer.from('abcd\0\0\0\0'));
    assert.deepEqual(await client.read(0, 8, signal), Buffer.from('abcd\0\0\0\0'));
    client.close();
  });

  test('the client reports a range without data as a hole', async () => {
    const say: Say = (_command, from) => [part(2, Buffer.concat([at(from), u32(8)]), true)];
    const client = await open({ say });
    assert.equal(await client.read(0, 8, signal), undefined);
    client.close();
  });

  test('the client reports the content of a bitmap', async () => {
    const say: Say = () => [part(5, u32(1, 65_536, 1, 65_536, 0), true)];
    const client = await open({ say }, 'written');
    assert.deepEqual(await client.status(0, 131_072, signal), [
      { length: 65_536, flags: 1 },
      { length: 65_536, flags: 0 },
    ]);
    client.close();
  });

  test('a missing bitmap is reported', async () => {
    await assert.rejects(open({ bitmap: false }, 'written'), { name: 'BadNbd' });
  });

  for (const [what, habits] of [
    ['greets otherwise', { greeting: Buffer.alloc(18) }],
    ['is of the old style', { greeting: Buffer.from('NBDMAGICIHAVEOPT\0\0') }],
  ] as const) {
    test(`the client refuses a server that ${what}`, async () => {
      await assert.rejects(open(habits), { name: 'BadNbd' });
    });
  }

  for (const [what, say] of [
    [
      'an error',
      () => [part(0x8001, Buffer.concat([u32(5), Buffer.from([0, 2]), Buffer.from('io')]), true)],
    ],
    ['what is elsewhere', () => [part(1, Buffer.concat([at(0), Buffer.from('ab')]), true)]],
    [
      'more than it may',
      () => [Buffer.concat([part(1, Buffer.alloc(0), true).subarray(0, 16), u32(2 ** 31)])],
    ],
    ['what is no reply', () => [Buffer.alloc(20)]],
  ] as const satisfies readonly (readonly [string, Say])[]) {
    test(`the client refuses ${what} instead of data`, async () => {
      const client = await open({ say });
      await assert.rejects(client.read(4096, 8, signal), { name: 'BadNbd' });
      client.close();
    });
  }
});
