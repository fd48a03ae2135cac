import { PROTOCOL_HEADER } from '../../src/protocol/version.ts';
import { LINK_ALPN } from '../../src/links/dial.ts';
import { TYPES, writeHead, type FrameType } from '../../src/links/format.ts';
import { CHANNELS } from '../../src/links/session.ts';
import type { Random } from '../../sim/random.ts';
import type { Bytes, Listener } from './case.ts';

/** Bytes below the messages: requests that are none, frames of sessions, and the stream of a guest’s memory. */

const KIB = 1024;
/** Stands for the session’s name in what is generated; whoever opens the connection knows it. */
export const SESSION = 'f'.repeat(32);
const TYPE_NAMES = Object.keys(TYPES) as FrameType[];
/** What follows a hello on a session of the wire, a QEMU’s stream, and TLS, in the first bytes of each. */
const BEGINNINGS = ['QEVM\0\0\0\u0003', '\u0016\u0003\u0001', 'GET / HTTP/1.1\r\n\r\n', 'GL', '{'];

/** One to three connections of an HTTP client that is none. */
export function requestsOf(random: Random): Bytes[] {
  return Array.from({ length: random.whole(1, 3) }, () => {
    const listener: Listener = random.pick(['agent', 'mover'] as const);
    return {
      listener,
      manner: random.pick(['tls', 'tls', 'tls', 'anonymous', 'plain'] as const),
      alpn: random.pick(['http/1.1', 'http/1.1', 'h2', LINK_ALPN]),
      pieces: cut(random, Buffer.from(requestOf(random), 'latin1')),
      greets: false,
      holdMs: random.pick([0, 20, 100, 400]),
    };
  });
}

function requestOf(random: Random): string {
  const path = random.pick(['/v1/incoming', '/v1/prepare', '/v1/status', '/hello', '/v1/pki/join']);
  const body = random.pick<() => string>([
    () => '{}',
    () => '['.repeat(random.whole(1, 200 * KIB)),
    () => '{"a":'.repeat(random.whole(1, 20 * KIB)),
    () => `"${'x'.repeat(random.whole(1, 900 * KIB))}"`,
    () => '{"id":"m-00000001","id":"m-foreign1"}',
    () => '\u0000\u00ff\u00fe',
    () => '{"__proto__":{"role":"operator"}}',
    () => `{"epoch":${'9'.repeat(random.whole(1, 5000))}}`,
    () => '',
  ])();
  const length = random.pick([body.length, body.length + 5, 0, -1, 2 ** 40]);
  const lines = random.pick<() => string[]>([
    () => [`content-length: ${length}`],
    () => [`content-length: ${length}`, 'transfer-encoding: chunked'],
    () => ['transfer-encoding: chunked'],
    () => [`content-length: ${length}`, `content-length: ${length + 1}`],
    () => [`x-padding: ${'a'.repeat(random.whole(1, 40 * KIB))}`],
    () => Array.from({ length: random.whole(1, 3000) }, (_, index) => `x-${index}: 1`),
    () => ['upgrade: websocket', 'connection: upgrade'],
    () => ['expect: 100-continue', `content-length: ${length}`],
  ])();
  const method = random.pick(['POST', 'POST', 'GET', 'PUT', 'CONNECT', 'OPTIONS', 'PRI', 'x']);
  const version = random.pick(['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'ICE/1.0', '']);
  const head = [`${method} ${path} ${version}`, 'host: x', `${PROTOCOL_HEADER}: 1`];
  const end = random.chance(0.9) ? '\r\n\r\n' : '';
  const whole = [...head, 'content-type: application/json', ...lines].join('\r\n') + end + body;
  return random.chance(0.2) ? whole.repeat(random.whole(2, 20)) : whole;
}

/** Connections to whoever waits for memory: a session that is greeted, and then all but what a source would say. */
export function streamsOf(random: Random): Bytes[] {
  return Array.from({ length: random.whole(2, 5) }, () => {
    const greets = random.chance(0.75);
    const said = Buffer.concat([
      ...(greets ? [helloOf(random)] : []),
      ...Array.from({ length: random.whole(0, 6) }, (_, index) => messOf(random, index)),
    ]);
    return {
      listener: 'memory' as const,
      manner: random.pick(['tls', 'tls', 'tls', 'tls', 'anonymous', 'plain'] as const),
      alpn: greets || random.chance(0.5) ? LINK_ALPN : 'http/1.1',
      pieces: cut(random, said),
      greets,
      holdMs: random.pick([20, 100, 300]),
    };
  });
}

/** As a source greets, with something of it wrong now and then. */
function helloOf(random: Random): Buffer {
  const count = (): number => random.pick([0, 0, 1, 5, 2 ** 31, Number.MAX_SAFE_INTEGER]);
  const taken = count();
  const hello = {
    version: random.chance(0.95) ? 1 : 2,
    session: SESSION,
    migration: random.chance(0.95) ? 'm-own' : 'm-foreign1',
    epoch: random.chance(0.95) ? 7 : 8,
    incarnation: random.chance(0.8) ? '0'.repeat(32) : SESSION.replaceAll('f', 'e'),
    holdsBytes: random.pick([0, 1, 64 * KIB]),
    positions: random.chance(0.6) ? [] : [[random.whole(0, CHANNELS - 1), count() + taken, taken]],
  };
  return frameOf('hello', 0, 0, Buffer.from(JSON.stringify(hello)));
}

/** A frame of any type with any number, or bytes that are none. */
function messOf(random: Random, index: number): Buffer {
  if (random.chance(0.15)) return bytesOf(random, random.whole(1, 200));
  const type = random.pick([...TYPE_NAMES, 'data', 'data', 'data', 'piece'] as const);
  const channel = random.pick([0, 0, 1, 16, 32, 33, CHANNELS - 1, CHANNELS, 255]);
  const number = random.pick([index, index, 0, 1, 2, 2 ** 31, Number.MAX_SAFE_INTEGER]);
  const begins = random.chance(0.3) ? Buffer.from(random.pick(BEGINNINGS), 'latin1') : [];
  const length = random.pick([0, 1, 4, 16, 100, 5000, 65_520]);
  const payload = Buffer.concat([Buffer.from(begins), bytesOf(random, length)]);
  const frame = frameOf(type, channel, number, payload);
  // Announced longer than it is: what comes next is taken for a part of it.
  if (random.chance(0.1)) frame.writeUInt32BE(random.pick([65_520, 2 ** 31, 2 ** 32 - 1]), 4);
  return frame;
}

function frameOf(type: FrameType, channel: number, number: number, payload: Uint8Array): Buffer {
  return Buffer.concat([writeHead({ type, channel, number, payload }), payload]);
}

function bytesOf(random: Random, length: number): Buffer {
  const small = random.chance(0.5);
  return Buffer.from(Array.from({ length }, () => random.whole(0, small ? 8 : 255)));
}

/** In up to four pieces, and sometimes not to the end. */
function cut(random: Random, said: Buffer): string[] {
  const whole = random.chance(0.85) ? said : said.subarray(0, random.whole(0, said.length));
  const places = Array.from({ length: random.whole(0, 3) }, () => random.whole(0, whole.length));
  const ends = [...places.toSorted((one, other) => one - other), whole.length];
  return ends
    .map((end, index) => whole.subarray(ends[index - 1] ?? 0, end).toString('base64'))
    .filter((piece) => piece !== '');
}
