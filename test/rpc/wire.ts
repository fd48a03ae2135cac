import { once } from 'node:events';
import net from 'node:net';
import { connect as tlsConnect, type ConnectionOptions } from 'node:tls';
import type { Duplex } from 'node:stream';

export interface RawAnswer {
  readonly status: number;
  readonly text: string;
  // The bytes of a hostile exchange are looked at as they come.
  readonly json: { error: { code: string; message: string; hint: string } };
}

/** Sends bytes as they are over TLS and reads until the server ends the connection or has answered once. */
export async function exchangeTls(
  address: string,
  options: ConnectionOptions,
  bytes: string | Buffer,
): Promise<RawAnswer> {
  const [host = '', port] = address.split(':');
  const socket = tlsConnect({ ...options, host, port: Number(port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  socket.write(bytes);
  return readAnswer(socket);
}

/** The same over a unix socket. */
export async function exchangeUnix(file: string, bytes: string | Buffer): Promise<RawAnswer> {
  const socket = net.connect({ path: file });
  socket.on('error', () => {});
  socket.write(bytes);
  return readAnswer(socket);
}

/** The first answer that comes; status 0 when the connection ends without one. */
export async function readAnswer(socket: Duplex): Promise<RawAnswer> {
  let text = '';
  socket.setEncoding('utf8');
  try {
    for await (const chunk of socket) {
      text += String(chunk);
      const [head = '', rest] = text.split('\r\n\r\n');
      const length = /content-length: (\d+)/i.exec(head)?.[1];
      if (rest !== undefined && length !== undefined && Buffer.byteLength(rest) >= Number(length))
        break;
    }
  } catch {
    text += '';
  }
  socket.destroy();
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0);
  const json = text.slice(text.indexOf('\r\n\r\n') + 4);
  return {
    status,
    text,
    json: status === 0 ? { error: { code: '', message: '', hint: '' } } : JSON.parse(json),
  };
}

/** A whole request with a body, as bytes. */
export function post(path: string, body: string, type = 'application/json'): string {
  const length = Buffer.byteLength(body);
  return `POST ${path} HTTP/1.1\r\nhost: b\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n${body}`;
}

/** The beginning of a request whose body stays away. */
export function begun(path: string, type = 'application/json'): string {
  return `POST ${path} HTTP/1.1\r\nhost: b\r\ncontent-type: ${type}\r\ncontent-length: 100\r\n\r\n{`;
}
