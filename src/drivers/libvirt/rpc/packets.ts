import { XdrError, XdrReader, XdrWriter } from '../../../formats/xdr.ts';

/**
 * Packets of libvirt's RPC: a length, a header of six words, and an XDR body. Numbers are from libvirt's
 * remote_protocol.x and virkeepaliveprotocol.x. Pure.
 */

export const REMOTE_PROGRAM = 0x20008086;
export const KEEPALIVE_PROGRAM = 0x6b656570;
const VERSION = 1;

/** libvirt's limit for a packet with its length, bytes. */
export const LONGEST_PACKET = 33_554_432 + 4;
const LENGTH_BYTES = 4;
const HEADER_BYTES = 24;
const MAX_WORDS = 65_536;

export const CALL = 0;
export const REPLY = 1;
export const MESSAGE = 2;
export const OK = 0;
export const ERROR = 1;

export interface Packet {
  readonly program: number;
  readonly procedure: number;
  readonly type: number;
  readonly serial: number;
  readonly status: number;
  readonly body: Buffer;
}

export function encodePacket({ program, procedure, type, serial, status, body }: Packet): Buffer {
  const head = new XdrWriter()
    .uint32(LENGTH_BYTES + HEADER_BYTES + body.length)
    .uint32(program)
    .uint32(VERSION)
    .int32(procedure)
    .int32(type)
    .uint32(serial)
    .int32(status);
  return Buffer.concat([head.bytes(), body]);
}

/**
 * Splits a stream into packets, for any chunking. Throws XdrError for an invalid packet and cannot be used after
 * that.
 */
export class PacketSplitter {
  #chunks: Buffer[] = [];
  #length = 0;

  push(chunk: Buffer): Packet[] {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const packets: Packet[] = [];
    for (let packet = this.#next(); packet !== undefined; packet = this.#next()) {
      packets.push(packet);
    }
    return packets;
  }

  #next(): Packet | undefined {
    if (this.#length < LENGTH_BYTES) return undefined;
    const length = this.#peekLength();
    if (length < LENGTH_BYTES + HEADER_BYTES || length > LONGEST_PACKET) {
      throw new XdrError(`a packet of ${length} bytes`);
    }
    if (this.#length < length) return undefined;
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all.subarray(length)];
    this.#length = all.length - length;
    return decodePacket(all.subarray(LENGTH_BYTES, length));
  }

  #peekLength(): number {
    const [first] = this.#chunks;
    if (first !== undefined && first.length >= LENGTH_BYTES) return first.readUInt32BE();
    this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]?.readUInt32BE() ?? 0;
  }
}

function decodePacket(bytes: Buffer): Packet {
  const reader = new XdrReader(bytes);
  const program = reader.uint32();
  const version = reader.uint32();
  if (version !== VERSION) throw new XdrError(`version ${version} of the protocol`);
  const [procedure, type] = [reader.int32(), reader.int32()];
  const [serial, status] = [reader.uint32(), reader.int32()];
  return { program, procedure, type, serial, status, body: bytes.subarray(HEADER_BYTES) };
}

/** libvirt's error: code (VIR_ERR_...), originating part and message. */
export interface LibvirtError {
  readonly code: number;
  readonly domain: number;
  readonly message: string;
}

export function decodeError(body: Buffer): LibvirtError {
  const reader = new XdrReader(body);
  const [code, domain] = [reader.int32(), reader.int32()];
  const message = reader.optionalString(MAX_WORDS) ?? 'it does not say why';
  return { code, domain, message };
}
