import { createHash } from 'node:crypto';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import * as pdus from '../../../../src/disks/proof/iscsi/pdu.ts';
import type { Pdu } from '../../../../src/disks/proof/iscsi/pdu.ts';

/** A small iSCSI target in memory, which a client may only read. Nothing is on any disk. */

export interface MemoryLun {
  data: Buffer;
  serial: string;
  naa: string;
  /** The type of another's persistent reservation. */
  reserved?: number;
}

const BLOCK = 512;

export class MemoryTarget {
  readonly server: Server;
  readonly name: string;
  readonly luns = new Map<number, MemoryLun>();
  /** In place of what it should answer to a login: class and detail. */
  loginStatus = 0;
  /** Who may log in, and by which algorithm of CHAP; absent: everybody. */
  account: { user: string; password: string; algorithm: string } | undefined;
  /** In place of its own challenge. */
  challenge: Record<string, string> = {};
  /** What initiators offered. */
  readonly offers: string[] = [];
  /** Where it sends whoever logs in. */
  elsewhere: string | undefined;
  /** So many commands first get a reset. */
  attentions = 1;
  /** It answers no command. */
  frozen = false;
  /** It asks whether somebody is there before it answers. */
  pings = false;
  /** What was asked: the opcodes of the commands, and who asked. */
  readonly commands: number[] = [];
  readonly initiators: string[] = [];
  readonly #sockets = new Set<Socket>();

  constructor(name: string) {
    this.name = name;
    this.server = createServer({ noDelay: true }, (socket) => this.#serve(socket));
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return (this.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    let bytes: Buffer = Buffer.alloc(0);
    let number = 0;
    const send = (header: Buffer, data?: Buffer): void => {
      header.writeUInt32BE(number++, 24);
      socket.write(pdus.encode(header, data));
    };
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      for (let found = pdus.decode(bytes); found !== undefined; found = pdus.decode(bytes)) {
        bytes = found.rest;
        this.#answer(found.pdu, send, socket);
      }
    });
  }

  #answer(pdu: Pdu, send: (header: Buffer, data?: Buffer) => void, socket: Socket): void {
    const opcode = pdus.opcodeOf(pdu);
    const tag = pdu.header.readUInt32BE(16);
    if (opcode === pdus.OPCODES.login) return this.#login(pdu, tag, send);
    if (opcode !== pdus.OPCODES.command || this.frozen) return;
    const cdb = pdu.header.subarray(32, 48);
    this.commands.push(cdb.readUInt8(0));
    const lun = this.luns.get(pdu.header.readUInt16BE(8));
    if (this.attentions > 0) {
      this.attentions--;
      return send(response(tag, 2), sense(6, 0x2900));
    }
    if (this.pings) {
      const ping = pdus.headerOf(pdus.OPCODES.nopIn, 0x80, pdus.NO_TAG);
      ping.writeUInt32BE(77, 20);
      ping.writeUInt32BE(0, 24);
      socket.write(pdus.encode(ping));
    }
    if (lun === undefined) return send(response(tag, 2), sense(5, 0x2500));
    const data = answerOf(lun, cdb);
    if (data === undefined) return send(response(tag, 2), sense(5, 0x2000));
    const half = Math.ceil(data.length / 2);
    // In two pieces, the second of which ends the command.
    const first = pdus.headerOf(pdus.OPCODES.dataIn, 0, tag);
    socket.write(pdus.encode(first, data.subarray(0, half)));
    const last = pdus.headerOf(pdus.OPCODES.dataIn, 0x81, tag);
    last.writeUInt32BE(half, 40);
    send(last, data.subarray(half));
  }

  #login({ header, data }: Pdu, tag: number, send: (header: Buffer, data?: Buffer) => void): void {
    const keys = pdus.decodeKeys(data);
    const initiator = keys.get('InitiatorName');
    if (initiator !== undefined) this.initiators.push(initiator);
    const target = keys.get('TargetName');
    const flags = header.readUInt8(1);
    const answer = pdus.headerOf(pdus.OPCODES.loginResponse, flags, tag);
    const isOther = target !== undefined && target !== this.name;
    const status = isOther ? 0x0203 : this.loginStatus;
    if (this.elsewhere !== undefined) {
      answer.writeUInt16BE(0x0101, 36);
      return send(answer, pdus.encodeKeys({ TargetAddress: `${this.elsewhere},1` }));
    }
    answer.writeUInt16BE(status, 36);
    if (status === 0 && (flags & 0x0c) === 0 && this.account !== undefined) {
      return this.#challenged(keys, this.account, answer, send);
    }
    send(answer);
  }

  #challenged(
    keys: ReadonlyMap<string, string>,
    { user, password, algorithm }: NonNullable<MemoryTarget['account']>,
    answer: Buffer,
    send: (header: Buffer, data?: Buffer) => void,
  ): void {
    const challenge = { CHAP_A: algorithm, CHAP_I: '201', CHAP_C: CHALLENGE, ...this.challenge };
    if (keys.has('CHAP_R')) {
      const name = { '5': 'md5', '6': 'sha1', '7': 'sha256' }[algorithm] ?? '';
      const own = createHash(name)
        .update(Buffer.from([201]))
        .update(password);
      const expected = own.update(Buffer.from(CHALLENGE.slice(2), 'hex')).digest('hex');
      const isRight = keys.get('CHAP_N') === user && keys.get('CHAP_R') === `0x${expected}`;
      if (!isRight) answer.writeUInt16BE(0x0201, 36);
      return send(answer);
    }
    // It goes on with nothing as long as it knows nobody.
    answer.writeUInt8(answer.readUInt8(1) & 0x7f, 1);
    const offered = keys.get('AuthMethod') ?? keys.get('CHAP_A');
    if (offered !== undefined) this.offers.push(offered);
    if (keys.has('CHAP_A')) return send(answer, pdus.encodeKeys(challenge));
    if (keys.get('AuthMethod') === 'None') answer.writeUInt16BE(0x0201, 36);
    send(answer, pdus.encodeKeys({ AuthMethod: 'CHAP' }));
  }
}

const CHALLENGE = `0x${'5a'.repeat(16)}`;

function response(tag: number, status: number): Buffer {
  const header = pdus.headerOf(pdus.OPCODES.response, 0x80, tag);
  header.writeUInt8(status, 3);
  return header;
}

function sense(key: number, code: number): Buffer {
  const data = Buffer.alloc(20);
  data.writeUInt16BE(18, 0);
  data.writeUInt8(0x70, 2);
  data.writeUInt8(key, 4);
  data.writeUInt16BE(code, 14);
  return data;
}

function answerOf({ data, serial, naa, reserved }: MemoryLun, cdb: Buffer): Buffer | undefined {
  switch (cdb.readUInt8(0)) {
    case 0x12:
      return (cdb.readUInt8(1) & 1) === 0
        ? Buffer.alloc(36)
        : pageOf(cdb.readUInt8(2), serial, naa);
    case 0x9e: {
      const reported = Buffer.alloc(32);
      reported.writeBigUInt64BE(BigInt(data.length / BLOCK - 1), 0);
      reported.writeUInt32BE(BLOCK, 8);
      return reported;
    }
    case 0x88: {
      const at = Number(cdb.readBigUInt64BE(2)) * BLOCK;
      return data.subarray(at, at + cdb.readUInt32BE(10) * BLOCK);
    }
    case 0x5e: {
      const reported = Buffer.alloc(24);
      if (reserved === undefined) return reported;
      reported.writeUInt32BE(16, 4);
      reported.writeUInt8(reserved, 21);
      return reported;
    }
    default:
      return undefined;
  }
}

function pageOf(page: number, serial: string, naa: string): Buffer | undefined {
  const header = (length: number): Buffer => Buffer.from([0, page, length >> 8, length & 0xff]);
  if (page === 0x00) return Buffer.concat([header(3), Buffer.from([0x00, 0x80, 0x83])]);
  if (page === 0x80) return Buffer.concat([header(serial.length), Buffer.from(serial)]);
  if (page !== 0x83) return undefined;
  const name = Buffer.from(naa, 'hex');
  const port = Buffer.from([0x01, 0x14, 0, 4, 0, 0, 0, 1]);
  const own = Buffer.concat([Buffer.from([0x01, 0x03, 0, name.length]), name]);
  return Buffer.concat([header(port.length + own.length), port, own]);
}
