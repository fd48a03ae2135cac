/** Runs on a host of the lab: sends what no peer should and prints what came back, as one JSON object. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { splitAddress } from '../../../src/protocol/names.ts';
import { clientTls, readCredentials } from '../../../src/rpc/tls.ts';
import type { AttackResult, Identity } from './peers.ts';

interface ProcessInput {
  readonly identity: Identity;
  readonly address: string;
  readonly path: string;
  readonly kinds: readonly string[];
  readonly timeoutMs?: number;
}

const {
  identity,
  address,
  path,
  kinds,
  timeoutMs = 20_000,
} = JSON.parse(process.argv[2] ?? '') as ProcessInput;
const credentials = readCredentials(identity.directory, identity.stem);
const { host, port } = splitAddress(address);
const MIB = 1024 ** 2;

const post = (length: number, version = '1'): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n` +
  `godwit-protocol: ${version}\r\ncontent-length: ${length}\r\n\r\n`;
const whole = (body: string, version?: string): string => post(body.length, version) + body;

/** What is said after the handshake; the slow ones say no more. */
const SAYINGS: Readonly<Record<string, string>> = {
  oversized: whole('"'.padEnd(4 * MIB, 'a')),
  announced: post(2 ** 40),
  malformed: whole('{"id": "m-'),
  shape: whole('{"id": "../../etc/passwd", "epoch": -1}'),
  deep: whole('['.repeat(500_000)),
  header: `GET /hello HTTP/1.1\r\nhost: x\r\nx-padding: ${'a'.repeat(64 * 1024)}\r\n\r\n`,
  noise: '\u0000\u0001\u0002 this is not HTTP \r\n\r\n',
  version: whole('{}', '99'),
  slow: 'POST / HTTP/1.1\r\nhost: x\r\nx-half: a',
};

function open(kind: string): { socket: Socket; ready: 'connect' | 'secureConnect'; say: string } {
  const plain = kind.startsWith('plain');
  const options = {
    host,
    port,
    ...(kind === 'anonymous' ? clientTls({ ca: credentials.ca }) : clientTls(credentials)),
  };
  if (plain)
    return {
      socket: connect({ host, port }),
      ready: 'connect',
      say: kind === 'plain' ? 'QEVM\u0000\u0000\u0000\u0003'.repeat(64) : '',
    };
  return { socket: connectTls(options), ready: 'secureConnect', say: SAYINGS[kind] ?? 'QEVM' };
}

async function attack(kind: string): Promise<AttackResult> {
  const { socket, ready, say } = open(kind);
  const chunks: Buffer[] = [];
  const closed = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), timeoutMs);
    const settle = (): void => {
      clearTimeout(timer);
      resolve(true);
    };
    socket.once(ready, () => socket.write(say));
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      // An answer over a connection that stays open is an end as well.
      if (isWhole(Buffer.concat(chunks).toString('latin1'))) settle();
    });
    socket
      .on('error', () => {})
      .on('end', settle)
      .on('close', settle);
  });
  socket.destroy();
  const bytes = Buffer.concat(chunks);
  const text = bytes.toString('latin1');
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0),
    code: /"code":"(\w+)"/.exec(text)?.[1] ?? '',
    closed,
    first: bytes.subarray(0, 8).toString('hex'),
  };
}

function isWhole(text: string): boolean {
  const [head = '', body] = text.split('\r\n\r\n', 2);
  const length = /content-length: (\d+)/i.exec(head)?.[1];
  return body !== undefined && length !== undefined && body.length >= Number(length);
}

const results = await Promise.all(kinds.map(async (kind) => [kind, await attack(kind)] as const));
process.stdout.write(JSON.stringify(Object.fromEntries(results)));
process.exit(0);
