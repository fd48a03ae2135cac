import { Mutex } from '../../../mutex.ts';
import type { IscsiPlace } from '../../../protocol/iscsi-url.ts';
import { IscsiConnection } from './connection.ts';
import { login } from './login.ts';
import * as pdus from './pdu.ts';

/**
 * Minimal read-only iSCSI client (RFC 7143). It identifies LUNs that no host has attached. It writes and reserves
 * nothing, sends one command at a time, and uses no digests.
 */

const MAX_REDIRECTIONS = 3;
/** A LUN reports past events before it answers: a login, a reset, a new size. */
const MAX_ATTENTIONS = 8;
const CHECK_CONDITION = 0x02;
const RESERVATION_CONFLICT = 0x18;
const UNIT_ATTENTION = 0x06;

class ScsiError extends Error {
  /** SCSI status, and the sense key of a CHECK CONDITION. */
  readonly status: number;
  readonly senseKey: number;

  constructor(command: string, status: number, sense: Buffer) {
    const key = sense.length > 2 ? sense.readUInt8(2) & 0x0f : 0;
    const code = sense.length > 13 ? sense.readUInt16BE(12).toString(16).padStart(4, '0') : '';
    const what =
      status === RESERVATION_CONFLICT
        ? 'another initiator has reserved it'
        : `status ${status}, sense ${key}${code === '' ? '' : `/${code}`}`;
    super(`${command}: ${what}`);
    this.status = status;
    this.senseKey = key;
  }
}

export class IscsiClient {
  readonly #connection: IscsiConnection;
  readonly #lun: Buffer;
  #commandNumber: number;
  readonly #commands = new Mutex();

  private constructor(connection: IscsiConnection, lun: number, commandNumber: number) {
    this.#connection = connection;
    this.#lun = Buffer.alloc(8);
    this.#lun.writeUInt16BE(lun, 0);
    this.#commandNumber = commandNumber;
  }

  /** Logs in to the target, and follows redirections. Rejects with a sentence about the target. */
  static async open(place: IscsiPlace, signal: AbortSignal): Promise<IscsiClient> {
    let at = place;
    for (let count = 0; count <= MAX_REDIRECTIONS; count++) {
      const connection = await IscsiConnection.open(at.host, at.port, signal);
      try {
        const moved = await login(connection, at);
        if (moved === undefined) return new IscsiClient(connection, at.lun, 1);
        connection.close();
        at = moved;
      } catch (error) {
        connection.close();
        throw error;
      }
    }
    throw new Error('its portals send one to each other');
  }

  /** Ends the session without waiting for the target's answer. */
  close(): void {
    const bye = pdus.headerOf(
      pdus.OPCODES.logout | pdus.IMMEDIATE,
      pdus.GO_ON,
      this.#connection.nextTag(),
    );
    bye.writeUInt32BE(this.#commandNumber, 24);
    bye.writeUInt32BE(this.#connection.expected, 28);
    this.#connection.send(pdus.encode(bye));
    this.#connection.close();
  }

  /** Result of a command, up to `most` bytes; repeated if the LUN first reports an event. */
  async ask(name: string, cdb: Buffer, most: number): Promise<Buffer> {
    for (let count = 1; ; count++) {
      try {
        return await this.#commands.run(() => this.#once(name, cdb, most));
      } catch (error) {
        const isAttention =
          error instanceof ScsiError &&
          error.status === CHECK_CONDITION &&
          error.senseKey === UNIT_ATTENTION;
        if (!isAttention || count >= MAX_ATTENTIONS) throw error;
      }
    }
  }

  async #once(name: string, cdb: Buffer, most: number): Promise<Buffer> {
    const tag = this.#connection.nextTag();
    const header = pdus.headerOf(pdus.OPCODES.command, most > 0 ? 0xc1 : 0x81, tag);
    this.#lun.copy(header, 8);
    header.writeUInt32BE(most, 20);
    header.writeUInt32BE(this.#commandNumber, 24);
    header.writeUInt32BE(this.#connection.expected, 28);
    cdb.copy(header, 32);
    this.#commandNumber = (this.#commandNumber + 1) >>> 0;
    this.#connection.send(pdus.encode(header));
    const found = Buffer.alloc(most);
    let filled = 0;
    for (;;) {
      const pdu = await this.#connection.next();
      const { header: seen, data } = pdu;
      const opcode = pdus.opcodeOf(pdu);
      if (opcode === pdus.OPCODES.nopIn) {
        this.#answerPing(seen);
        continue;
      }
      if (opcode === pdus.OPCODES.asynchronous) continue;
      if (seen.readUInt32BE(16) !== tag) throw new Error(`${name}: it answered something else`);
      if (opcode === pdus.OPCODES.dataIn) {
        const at = seen.readUInt32BE(40);
        if (at + data.length > most) throw new Error(`${name}: it sent more than was asked for`);
        data.copy(found, at);
        filled = Math.max(filled, at + data.length);
        if ((seen.readUInt8(1) & 0x01) === 0) continue;
        expectGood(name, seen.readUInt8(3), Buffer.alloc(0));
        return found.subarray(0, filled);
      }
      if (opcode !== pdus.OPCODES.response)
        throw new Error(`${name}: it answered with 0x${opcode.toString(16)}`);
      if (seen.readUInt8(2) !== 0) throw new Error(`${name}: the target failed`);
      expectGood(name, seen.readUInt8(3), data.subarray(2));
      return found.subarray(0, filled);
    }
  }

  #answerPing(seen: Buffer): void {
    const tag = seen.readUInt32BE(20);
    if (tag === pdus.NO_TAG) return;
    const pong = pdus.headerOf(pdus.OPCODES.nopOut | pdus.IMMEDIATE, pdus.GO_ON, pdus.NO_TAG);
    seen.copy(pong, 8, 8, 16);
    pong.writeUInt32BE(tag, 20);
    pong.writeUInt32BE(this.#commandNumber, 24);
    pong.writeUInt32BE(this.#connection.expected, 28);
    this.#connection.send(pdus.encode(pong));
  }
}

function expectGood(name: string, status: number, sense: Buffer): void {
  if (status !== 0) throw new ScsiError(name, status, sense);
}
