import { escapeXml } from '../../../formats/xml.ts';
import { XdrWriter, type XdrReader } from '../../../formats/xdr.ts';
import { unless, type Domain, type LibvirtClient } from '../client.ts';
import { CALL_MS } from '../rpc/connection.ts';

const PROC = {
  refreshPool: 83,
  poolInfo: 87,
  createVolume: 93,
  deleteVolume: 94,
  volumeByName: 95,
  volumeInfo: 98,
  blockInfo: 194,
  poolByPath: 391,
} as const;

/** Error numbers of libvirt's virterror.h. */
const NO_POOL = 49;
const NO_VOLUME = 50;
const OPERATION_INVALID = 55;
const INTERNAL = 1;
const MAX_NAME = 65_536;

export interface Pool {
  readonly name: string;
  readonly uuid: string;
}

export interface Volume {
  readonly pool: string;
  readonly name: string;
  readonly key: string;
}

export interface Sizes {
  /** Size for the guest, bytes. */
  readonly capacity: number;
  /** Allocated bytes on the storage. */
  readonly allocation: number;
}

/** Active pool with that directory; undefined if there is none. */
export async function poolAt(
  client: LibvirtClient,
  directory: string,
  signal: AbortSignal,
): Promise<Pool | undefined> {
  const asked = client.ask(PROC.poolByPath, new XdrWriter().string(directory), signal);
  const answer = await unless([NO_POOL], asked);
  return answer === undefined ? undefined : { name: answer.string(MAX_NAME), uuid: answer.uuid() };
}

/** Rescans the pool's directory. A pool with a job refuses, but includes that job's results. */
export async function refresh(
  client: LibvirtClient,
  pool: Pool,
  signal: AbortSignal,
): Promise<void> {
  const body = writePool(pool).uint32(0);
  await unless([OPERATION_INVALID, INTERNAL], client.ask(PROC.refreshPool, body, signal, CALL_MS));
}

/** Free bytes. */
export async function room(
  client: LibvirtClient,
  pool: Pool,
  signal: AbortSignal,
): Promise<number> {
  const answer = await client.ask(PROC.poolInfo, writePool(pool), signal);
  answer.int32();
  answer.bigUint64();
  answer.bigUint64();
  return Number(answer.bigUint64());
}

export async function volume(
  client: LibvirtClient,
  pool: Pool,
  name: string,
  signal: AbortSignal,
): Promise<Volume | undefined> {
  const asked = client.ask(PROC.volumeByName, writePool(pool).string(name), signal);
  const answer = await unless([NO_VOLUME], asked);
  return answer === undefined ? undefined : readVolume(answer);
}

export async function volumeSizes(
  client: LibvirtClient,
  { pool, name, key }: Volume,
  signal: AbortSignal,
): Promise<Sizes> {
  const body = new XdrWriter().string(pool).string(name).string(key);
  const answer = await client.ask(PROC.volumeInfo, body, signal);
  answer.int32();
  const capacity = Number(answer.bigUint64());
  return { capacity, allocation: Number(answer.bigUint64()) };
}

/** Creates a sparse empty volume; libvirt overwrites none. */
export async function createVolume(
  client: LibvirtClient,
  pool: Pool,
  wanted: { readonly name: string; readonly format: string; readonly sizeBytes: number },
  signal: AbortSignal,
): Promise<void> {
  const { name, format, sizeBytes } = wanted;
  const compat = format === 'qcow2' ? '<compat>1.1</compat>' : '';
  const xml = [
    `<volume><name>${escapeXml(name)}</name>`,
    `<capacity unit="bytes">${sizeBytes}</capacity><allocation unit="bytes">0</allocation>`,
    `<target><format type="${escapeXml(format)}"/>${compat}</target></volume>`,
  ].join('');
  await client.ask(PROC.createVolume, writePool(pool).string(xml).uint32(0), signal, CALL_MS);
}

/** Resolves even if the volume is already gone. */
export async function deleteVolume(
  client: LibvirtClient,
  { pool, name, key }: Volume,
  signal: AbortSignal,
): Promise<void> {
  const body = new XdrWriter().string(pool).string(name).string(key).uint32(0);
  await unless([NO_VOLUME], client.ask(PROC.deleteVolume, body, signal, CALL_MS));
}

export async function diskSizes(
  client: LibvirtClient,
  { name, uuid, id }: Domain,
  disk: string,
  signal: AbortSignal,
): Promise<Sizes> {
  const body = new XdrWriter().string(name).uuid(uuid).int32(id).string(disk).uint32(0);
  const answer = await client.ask(PROC.blockInfo, body, signal);
  const allocation = Number(answer.bigUint64());
  const capacity = Number(answer.bigUint64());
  // libvirt reports no allocation for an unwritten image, although its file has some.
  const physical = Number(answer.bigUint64());
  return { capacity, allocation: allocation > 0 ? allocation : physical };
}

function writePool({ name, uuid }: Pool): XdrWriter {
  return new XdrWriter().string(name).uuid(uuid);
}

function readVolume(answer: XdrReader): Volume {
  return {
    pool: answer.string(MAX_NAME),
    name: answer.string(MAX_NAME),
    key: answer.string(MAX_NAME),
  };
}
