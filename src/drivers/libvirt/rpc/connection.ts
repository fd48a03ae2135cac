import { readFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { withDeadline } from '../../../deadline.ts';
import { godwitError, hasCode } from '../../../errors.ts';
import { addressOf, type LibvirtAddress } from './address.ts';
import {
  CALL,
  decodeError,
  encodePacket,
  ERROR,
  KEEPALIVE_PROGRAM,
  MESSAGE,
  OK,
  PacketSplitter,
  REMOTE_PROGRAM,
  REPLY,
  type LibvirtError,
  type Packet,
} from './packets.ts';

const CONNECT_MS = 5000;
/** libvirt waits up to 30 s for a job of the guest before it answers. */
export const CALL_MS = 35_000;
const MAX_PENDING = 256;
const PONG = 2;
/** Unread output to the daemon, bytes; beyond it, only calls are written. */
const MAX_UNREAD = 65_536;
/** Byte by which a daemon accepts the client's certificate. */
const TAKEN = 1;

export interface Credentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** File with users and passwords for daemons that require a login. */
  readonly auth?: string | undefined;
}

interface Pending {
  readonly resolve: (body: Buffer) => void;
  readonly reject: (error: Error) => void;
}

/** Receives the daemon's events; called without a message once the connection has ended. */
export type Listener = (message?: Pick<Packet, 'procedure' | 'body'>) => void;

/** libvirt's refusal with its message; `libvirt.code` is the VIR_ERR_ number. */
export class LibvirtRefusal extends Error {
  override readonly name = 'LibvirtRefusal';
  readonly libvirt: LibvirtError;

  constructor(libvirt: LibvirtError) {
    super(libvirt.message);
    this.libvirt = libvirt;
  }
}

/**
 * Connection to a libvirt daemon. Calls may overlap: the daemon answers each by its number, in any order. After
 * the end of the connection, each pending and later call rejects with GODWIT_UNREACHABLE.
 */
export class LibvirtConnection {
  readonly uri: string;
  readonly #socket: Socket;
  readonly #splitter = new PacketSplitter();
  readonly #pending = new Map<number, Pending>();
  #serial = 0;
  #ended: Error | undefined;
  #hear: Listener | undefined;

  private constructor(uri: string, socket: Socket) {
    this.uri = uri;
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', (error) => this.#end(error.message));
    socket.on('close', () => this.#end('it closed the connection'));
  }

  static async open(
    uri: string,
    credentials: Credentials,
    signal: AbortSignal,
  ): Promise<LibvirtConnection> {
    const address = addressOf(uri);
    const socket = await connected(uri, address, credentials, signal);
    return new LibvirtConnection(uri, socket);
  }

  /** Returns the answer's body. Throws LibvirtRefusal if libvirt refuses, GODWIT_UNREACHABLE without an answer. */
  async call(
    procedure: number,
    body: Buffer,
    signal: AbortSignal,
    deadlineMs = CALL_MS,
  ): Promise<Buffer> {
    const serial = this.#next();
    try {
      return await withDeadline(`an answer of ${this.uri}`, deadlineMs, signal, () =>
        this.#send(serial, procedure, body),
      );
    } finally {
      // A late answer is dropped.
      this.#pending.delete(serial);
    }
  }

  /** Call without a deadline: a migration is a single call. */
  callToTheEnd(procedure: number, body: Buffer): Promise<Buffer> {
    return this.#send(this.#next(), procedure, body);
  }

  /** Sets the only listener. It is called at once if the connection has already ended. */
  hear(listener: Listener): void {
    this.#hear = listener;
    if (this.#ended !== undefined) listener();
  }

  close(): void {
    this.#end('it was closed');
    this.#socket.destroy();
  }

  #next(): number {
    this.#serial += 1;
    return this.#serial;
  }

  #send(serial: number, procedure: number, body: Buffer): Promise<Buffer> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (this.#pending.size >= MAX_PENDING) {
      return Promise.reject(unreachable(this.uri, `${MAX_PENDING} calls wait already`));
    }
    const packet = { program: REMOTE_PROGRAM, procedure, type: CALL, serial, status: OK, body };
    return new Promise<Buffer>((resolve, reject) => {
      this.#pending.set(serial, { resolve, reject });
      this.#socket.write(encodePacket(packet));
    });
  }

  #read(chunk: Buffer): void {
    try {
      for (const packet of this.#splitter.push(chunk)) this.#take(packet);
    } catch (thrown) {
      this.#end(thrown instanceof Error ? thrown.message : String(thrown));
      this.#socket.destroy();
    }
  }

  #take(packet: Packet): void {
    const { program, type, serial, status, body } = packet;
    if (program === KEEPALIVE_PROGRAM) {
      if (this.#socket.writableLength > MAX_UNREAD) {
        this.#end('it reads nothing, and asks whether we are there');
        this.#socket.destroy();
        return;
      }
      const pong = { ...packet, procedure: PONG, type: MESSAGE, serial: 0, status: OK };
      this.#socket.write(encodePacket({ ...pong, body: Buffer.alloc(0) }));
      return;
    }
    if (program !== REMOTE_PROGRAM) return;
    if (type === MESSAGE) return this.#hear?.(packet);
    if (type !== REPLY) return;
    const pending = this.#pending.get(serial);
    this.#pending.delete(serial);
    if (status === ERROR) pending?.reject(new LibvirtRefusal(decodeError(body)));
    else pending?.resolve(body);
  }

  #end(why: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = unreachable(this.uri, why);
    for (const { reject } of this.#pending.values()) reject(this.#ended);
    this.#pending.clear();
    this.#hear?.();
  }
}

async function connected(
  uri: string,
  address: LibvirtAddress,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<Socket> {
  if (address.kind === 'unix') return connectedLocally(uri, address.paths, signal);
  const socket = await opened(uri, address, credentials);
  try {
    await withDeadline(`a connection to ${uri}`, CONNECT_MS, signal, async (inner) => {
      const isReady = address.kind === 'tls' ? 'secureConnect' : 'connect';
      await happened(socket, isReady, uri, inner);
      if (address.kind !== 'tls') return;
      const [first] = await happened(socket, 'readable', uri, inner).then(
        () => (socket.read(1) as Buffer | undefined) ?? [0],
      );
      if (first !== TAKEN) throw unreachable(uri, 'it does not take the certificate');
    });
    return socket;
  } catch (thrown) {
    socket.destroy();
    throw thrown;
  }
}

/** Skips a socket without a listener: libvirtd's socket may remain after a switch to the modular daemons. */
export async function connectedLocally(
  uri: string,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<Socket> {
  let failed: Error | undefined;
  for (const path of paths) {
    const socket = createConnection({ path });
    try {
      await withDeadline(`a connection to ${uri}`, CONNECT_MS, signal, (inner) =>
        happened(socket, 'connect', uri, inner),
      );
      return socket;
    } catch (thrown) {
      socket.destroy();
      signal.throwIfAborted();
      if (!hasCode(thrown, 'GODWIT_UNREACHABLE')) throw thrown;
      failed ??= thrown;
    }
  }
  throw failed ?? unreachable(uri, 'it names no socket');
}

async function opened(
  uri: string,
  address: Exclude<LibvirtAddress, { kind: 'unix' }>,
  credentials: Credentials,
): Promise<Socket> {
  const { host, port } = address;
  if (address.kind === 'tcp') return createConnection({ host, port });
  const [ca, cert, key] = await Promise.all(
    [credentials.ca, credentials.cert, credentials.key].map((file) => fileOf(uri, file)),
  );
  return connectTls({ host, port, ca, cert, key, servername: /^[\d.:]+$/.test(host) ? '' : host });
}

async function fileOf(uri: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    const hint =
      'Put this host’s certificate there, or name another one in `credentials` under drivers.libvirt.';
    throw unreachable(uri, reason, hint);
  }
}

function happened(socket: Socket, event: string, uri: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once('error', (error) => reject(notConnected(uri, error)));
    socket.once('close', () => reject(unreachable(uri, 'it closed the connection')));
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

export function notConnected(uri: string, error: NodeJS.ErrnoException): Error {
  const isForbidden = error.code === 'EACCES' || error.code === 'EPERM';
  return isForbidden ? denied(uri, error.message) : unreachable(uri, error.message);
}

const REACH: Readonly<Record<LibvirtAddress['kind'], { none: string; denied: string }>> = {
  unix: {
    none: 'Check that libvirt runs there (`systemctl status libvirtd`, or virtqemud), and that Godwit reaches it.',
    denied: 'Run the agent as root, or as a user that may use that socket.',
  },
  tcp: {
    none: 'Check that libvirt listens there (`systemctl status libvirtd-tcp.socket`, or virtproxyd-tcp.socket), and that no firewall is between.',
    denied:
      'Use qemu+tls, or set `auth_tcp = "none"` in libvirtd.conf there: Godwit logs in over TLS or a unix socket alone.',
  },
  tls: {
    none: 'Check that libvirt listens there (`systemctl status libvirtd-tls.socket`, or virtproxyd-tls.socket), and that each end takes the other’s certificate (`tls_allowed_dn_list`, CA).',
    denied: 'Set `auth_tls = "none"` in libvirtd.conf there: certificates decide then.',
  },
};

const hintsOf = (uri: string): { none: string; denied: string } => REACH[addressOf(uri).kind];

export function denied(
  uri: string,
  reason: string,
  hint = hintsOf(uri).denied,
  cause?: Error,
): Error {
  const facts = { manager: 'libvirt', address: uri, what: 'a connection', reason };
  return godwitError('GODWIT_MANAGER_DENIED', facts, { hint, ...(cause ? { cause } : {}) });
}

export function unreachable(uri: string, reason: string, hint = hintsOf(uri).none): Error {
  return godwitError('GODWIT_UNREACHABLE', { peer: 'libvirt', address: uri, reason }, { hint });
}
