import { defined } from '../../../protocol/defined.ts';
import type { IscsiPlace } from '../../../protocol/iscsi-url.ts';
import { IscsiClient } from './client.ts';

/** Identity and content of a LUN of an iSCSI target; read-only. */

export interface LunFacts {
  readonly bytes: number;
  /** Identity of the LUN from the target, on every portal: sorted and unique. */
  readonly ids: readonly string[];
  /** Type of another host's persistent reservation; absent: none, or unsupported. */
  readonly reserved?: string;
}

/** Designators and serial numbers are chosen by the target. */
const MAX_PAGE_BYTES = 1024;
const MAX_IDS = 32;
const MAX_BLOCK_BYTES = 64 * 1024;
const INQUIRY = 0x12;
const READ_16 = 0x88;
const SERVICE_IN = 0x9e;
const READ_CAPACITY = 0x10;
const RESERVE_IN = 0x5e;
const READ_RESERVATION = 0x01;
const DIRECT_ACCESS = 0x00;
const TYPES: Readonly<Record<number, string>> = {
  1: 'write exclusive',
  3: 'exclusive access',
  5: 'write exclusive, registrants only',
  6: 'exclusive access, registrants only',
  7: 'write exclusive, all registrants',
  8: 'exclusive access, all registrants',
};

export class Lun {
  readonly #client: IscsiClient;
  readonly #blockBytes: number;
  readonly facts: LunFacts;

  private constructor(client: IscsiClient, blockBytes: number, facts: LunFacts) {
    this.#client = client;
    this.#blockBytes = blockBytes;
    this.facts = facts;
  }

  static async with<T>(
    place: IscsiPlace,
    signal: AbortSignal,
    work: (lun: Lun) => Promise<T>,
  ): Promise<T> {
    const client = await IscsiClient.open(place, signal);
    try {
      return await work(await Lun.#of(client, place));
    } finally {
      client.close();
    }
  }

  static async #of(client: IscsiClient, { target, lun }: IscsiPlace): Promise<Lun> {
    const standard = await inquire(client, undefined);
    const kind = standard.length > 0 ? standard.readUInt8(0) : 0x7f;
    if (kind !== DIRECT_ACCESS) throw new Error(`the target has no disk as its LUN ${lun}`);
    const { bytes, blockBytes } = await capacityOf(client);
    // Some LUNs only have the first page.
    const pages = await inquire(client, 0x00).catch(() => Buffer.alloc(0));
    const has = (page: number): boolean => pages.subarray(4).includes(page);
    const designators = has(0x83) ? designatorsIn(await inquire(client, 0x83)) : [];
    const serial = has(0x80) ? textOf((await inquire(client, 0x80)).subarray(4)) : '';
    const own = [...designators, ...(serial === '' ? [] : [`serial ${serial}`])];
    const ids = [...new Set(own)].toSorted().slice(0, MAX_IDS);
    const reserved = await reservationOf(client);
    return new Lun(client, blockBytes, {
      bytes,
      // A LUN's number alone proves nothing, since another LUN may get it.
      ids: own.length === 0 ? [] : [`iscsi ${target}`, ...ids],
      ...defined({ reserved }),
    });
  }

  /** `at` and `bytes` are multiples of the LUN's block size. */
  async read(at: number, bytes: number): Promise<Buffer> {
    const cdb = Buffer.alloc(16);
    cdb.writeUInt8(READ_16, 0);
    cdb.writeBigUInt64BE(BigInt(at / this.#blockBytes), 2);
    cdb.writeUInt32BE(bytes / this.#blockBytes, 10);
    return this.#client.ask('READ', cdb, bytes);
  }
}

async function capacityOf(client: IscsiClient): Promise<{ bytes: number; blockBytes: number }> {
  const cdb = Buffer.alloc(16);
  cdb.writeUInt8(SERVICE_IN, 0);
  cdb.writeUInt8(READ_CAPACITY, 1);
  cdb.writeUInt32BE(32, 10);
  const reported = await client.ask('READ CAPACITY', cdb, 32);
  if (reported.length < 12) throw new Error('READ CAPACITY: it does not report its size');
  const blocks = Number(reported.readBigUInt64BE(0)) + 1;
  const blockBytes = reported.readUInt32BE(8);
  const isPower = blockBytes >= 512 && (blockBytes & (blockBytes - 1)) === 0;
  if (!isPower || blockBytes > MAX_BLOCK_BYTES) {
    throw new Error(`READ CAPACITY: it has blocks of ${blockBytes} bytes`);
  }
  return { bytes: blocks * blockBytes, blockBytes };
}

/** Inquiry page; undefined: the standard page, which every LUN has. */
async function inquire(client: IscsiClient, page: number | undefined): Promise<Buffer> {
  const cdb = Buffer.alloc(16);
  cdb.writeUInt8(INQUIRY, 0);
  cdb.writeUInt8(page === undefined ? 0 : 1, 1);
  cdb.writeUInt8(page ?? 0, 2);
  const most = page === undefined ? 36 : MAX_PAGE_BYTES;
  cdb.writeUInt16BE(most, 3);
  return client.ask('INQUIRY', cdb, most);
}

/** Names of the LUN itself in page 0x83, without its port and target. Pure. */
export function designatorsIn(page: Buffer): string[] {
  const found: string[] = [];
  for (let at = 4; at + 4 <= page.length;) {
    const kind = page.readUInt8(at + 1);
    const length = page.readUInt8(at + 3);
    const isOfLun = ((kind >> 4) & 0x03) === 0;
    const name = page.subarray(at + 4, at + 4 + length);
    if (isOfLun && name.length === length && length > 0) {
      found.push(`designator ${kind & 0x0f} ${name.toString('hex')}`);
    }
    at += 4 + length;
  }
  return found;
}

async function reservationOf(client: IscsiClient): Promise<string | undefined> {
  const cdb = Buffer.alloc(16);
  cdb.writeUInt8(RESERVE_IN, 0);
  cdb.writeUInt8(READ_RESERVATION, 1);
  cdb.writeUInt16BE(24, 7);
  // Many targets do not support this, and report so.
  const reported = await client.ask('PERSISTENT RESERVE IN', cdb, 24).catch(() => Buffer.alloc(0));
  if (reported.length < 24 || reported.readUInt32BE(4) < 16) return undefined;
  const type = reported.readUInt8(21) & 0x0f;
  return TYPES[type] ?? `type ${type}`;
}

function textOf(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replaceAll(/[^ -~]/g, '')
    .trim()
    .slice(0, 256);
}
