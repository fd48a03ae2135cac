/** WinRM of a pretended Hyper-V host over HTTPS: MS-NTHT for NTLM over HTTP, and wsman.ts for what is asked. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { makeAuthority } from '../../../src/pki/x509.ts';
import { NtlmServer } from './ntlm-server.ts';
import { Commands, fault, parse, whole } from './wsman.ts';
import type { HypervWorld } from './world.ts';

/** How a server behaves; each holds for as long as it is set. */
export interface Temper {
  /** Requests that are answered with the fault of an operation that took too long. */
  timeouts: number;
  /** Requests whose connection is cut before they are looked at. */
  cutBefore: number;
  /** Requests that have their effect, and no answer. */
  cutAfter: number;
  /** Requests that are answered by this HTTP status and no SOAP. */
  status: { code: number; times: number };
  /** Requests that are answered by this text. */
  garbage: { text: string; times: number };
  /** The server forgets who its clients are. */
  forgets: number;
  /** Connections end with the answer that asks for a login. */
  closes: boolean;
  /** What it offers where it takes no NTLM; empty: it takes it. */
  offers: string[];
  slowMs: number;
}

export interface Winrm {
  readonly url: string;
  readonly fingerprint: string;
  readonly cert: string;
  readonly temper: Temper;
  /** What was asked, by action. */
  readonly asked: string[];
  /** Proofs of a password that have come, whatever became of them. */
  readonly proofs: string[];
  /** The service of WinRM ends, and knows no shell and nobody any more once it is up again at the same address. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

export async function serveWinrm(
  world: HypervWorld,
  host: string,
  {
    user = 'User',
    auth = 'ntlm',
    beginsMs = Date.now(),
  }: {
    readonly user?: string;
    readonly auth?: 'ntlm' | 'basic' | 'none';
    /** Its certificate is good for a day from then on. */
    readonly beginsMs?: number;
  } = {},
): Promise<Winrm> {
  const { cert, key } = await makeAuthority(host, { nowMs: beginsMs, days: 1 });
  const raw = new X509Certificate(cert).raw;
  const temper: Temper = {
    timeouts: 0,
    cutBefore: 0,
    cutAfter: 0,
    status: { code: 503, times: 0 },
    garbage: { text: '', times: 0 },
    forgets: 0,
    closes: false,
    offers: [],
    slowMs: 0,
  };
  const asked: string[] = [];
  const proofs: string[] = [];
  let commands = new Commands(world, host);
  const sockets = new Set<Socket>();
  const known = new WeakMap<Socket, NtlmServer | 'known'>();
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const text = await bodyOf(request);
    if (!isKnown(request, response, { known, user, auth, raw, temper, proofs })) return;
    if (temper.cutBefore-- > 0) return void request.socket.destroy();
    if (temper.status.times-- > 0) return void response.writeHead(temper.status.code).end('no');
    if (temper.garbage.times-- > 0) return void response.writeHead(200).end(temper.garbage.text);
    if (temper.slowMs > 0) await new Promise((done) => setTimeout(done, temper.slowMs).unref());
    const parsed = parse(text);
    asked.push(parsed.action.split('/').at(-1) ?? '');
    const isReceive = parsed.action.endsWith('/Receive');
    const answer =
      isReceive && temper.timeouts-- > 0
        ? fault(
            'w:TimedOut',
            '2150858793',
            'The WS-Management service cannot complete the operation.',
          )
        : commands.answer(parsed);
    if (temper.cutAfter-- > 0) return void request.socket.destroy();
    const [status, body] = answer;
    response.writeHead(status, { 'content-type': 'application/soap+xml;charset=UTF-8' });
    response.end(whole(parsed, body));
  };
  let server: Server | undefined;
  let port = 0;
  const up = async (): Promise<void> => {
    commands = new Commands(world, host);
    server = createServer({ cert, key, minVersion: 'TLSv1.2' }, (request, response) => {
      serve(request, response).catch((thrown: unknown) => {
        response.writeHead(500).end(String(thrown));
      });
    });
    server.on('secureConnection', (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket)).on('error', () => undefined);
    });
    await listening(server, port);
    port = (server.address() as AddressInfo).port;
  };
  const down = async (): Promise<void> => {
    const running = server;
    server = undefined;
    for (const socket of sockets) socket.destroy();
    running?.close();
    if (running !== undefined) await once(running, 'close');
  };
  await up();
  return {
    url: `https://127.0.0.1:${port}/wsman`,
    fingerprint: new X509Certificate(cert).fingerprint256,
    cert,
    temper,
    asked,
    proofs,
    down,
    up,
    close: down,
  };
}

async function listening(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

interface Login {
  readonly known: WeakMap<Socket, NtlmServer | 'known'>;
  readonly user: string;
  /** none: a web server before it has asked already. */
  readonly auth: 'ntlm' | 'basic' | 'none';
  readonly raw: Buffer;
  readonly temper: Temper;
  readonly proofs: string[];
}

/** MS-NTHT: three messages on one connection, and whoever is known on it stays so. */
function isKnown(request: IncomingMessage, response: ServerResponse, login: Login): boolean {
  if (login.auth === 'none') return true;
  const { socket } = request;
  const words = request.headers.authorization ?? '';
  if (login.auth === 'basic') {
    const right = `Basic ${Buffer.from(`${login.user}:Password`).toString('base64')}`;
    if (words === right) return true;
    response.writeHead(401, { 'www-authenticate': 'Basic realm="WSMAN"' }).end();
    return false;
  }
  if (login.temper.closes) response.setHeader('connection', 'close');
  if (login.temper.offers.length > 0) {
    response.writeHead(401, { 'www-authenticate': login.temper.offers }).end();
    return false;
  }
  if (login.temper.forgets-- > 0) login.known.delete(socket);
  const token = Buffer.from(/^Negotiate (.*)$/.exec(words)?.[1] ?? '', 'base64');
  const before = login.known.get(socket);
  if (token.length === 0 && before === 'known') return true;
  if (token.length > 12 && token.readUInt32LE(8) === 1) {
    const ntlm = new NtlmServer();
    login.known.set(socket, ntlm);
    const challenge = ntlm.challenge(token).toString('base64');
    response.writeHead(401, { 'www-authenticate': `Negotiate ${challenge}` }).end();
    return false;
  }
  if (token.length > 12) login.proofs.push(token.toString('base64'));
  if (before instanceof NtlmServer && before.accepts(token, login.user, login.raw)) {
    login.known.set(socket, 'known');
    return true;
  }
  response.writeHead(401, { 'www-authenticate': 'Negotiate' }).end();
  return false;
}
