import {
  DEFAULT_PAGE_BYTES,
  ELEMENT,
  FILE_MAGIC,
  FILE_VERSION,
  MULTIFD,
  RAM_FLAG,
  RECV_BITMAP_END_BYTES,
} from '../../../src/wire/stream/format.ts';

/** Writes the pieces of a migration stream as QEMU does, for tests that need one with known content. */
export interface Block {
  readonly name: string;
  readonly bytes: number;
  readonly pageBytes?: number;
}

export const PC_RAM: Block = { name: 'pc.ram', bytes: 64 * 1024 * 1024 };

function be32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function be64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function be16(value: number): Buffer {
  return Buffer.from([value >>> 8, value & 0xff]);
}

function named(name: string): Buffer {
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name, 'latin1')]);
}

export function fileHeader(machine = 'pc-q35-7.2'): Buffer {
  const configuration = [Buffer.from([ELEMENT.CONFIGURATION]), be32(machine.length)];
  return Buffer.concat([
    be32(FILE_MAGIC),
    be32(FILE_VERSION),
    ...configuration,
    Buffer.from(machine),
  ]);
}

/** A subsection of the configuration. */
export function subsection(name: string, fields: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([ELEMENT.SUBSECTION]), named(name), be32(1), fields]);
}

export function capabilities(names: readonly string[]): Buffer {
  return subsection(
    'configuration/capabilities',
    Buffer.concat([be32(names.length), ...names.map(named)]),
  );
}

/** The header of a start or a full section. */
export function sectionHeader(
  kind: 'start' | 'full',
  id: number,
  name: string,
  version = 4,
): Buffer {
  const type = kind === 'start' ? ELEMENT.SECTION_START : ELEMENT.SECTION_FULL;
  return Buffer.concat([Buffer.from([type]), be32(id), named(name), be32(0), be32(version)]);
}

export function partHeader(kind: 'part' | 'end', id: number): Buffer {
  const type = kind === 'part' ? ELEMENT.SECTION_PART : ELEMENT.SECTION_END;
  return Buffer.concat([Buffer.from([type]), be32(id)]);
}

export function footer(id: number): Buffer {
  return Buffer.concat([Buffer.from([ELEMENT.FOOTER]), be32(id)]);
}

export function ramList(blocks: readonly Block[]): Buffer {
  const total = blocks.reduce((sum, { bytes }) => sum + bytes, 0);
  const entries = blocks.map(({ name, bytes, pageBytes }) =>
    Buffer.concat([
      named(name),
      be64(bytes),
      ...(pageBytes === undefined ? [] : [be64(pageBytes)]),
    ]),
  );
  return Buffer.concat([be64(total + RAM_FLAG.MEM_SIZE), ...entries]);
}

export const endOfSection: Buffer = be64(RAM_FLAG.EOS);
export const multifdFlush: Buffer = be64(RAM_FLAG.MULTIFD_FLUSH);

/** A record's first bytes; `block` absent: the same as before. */
function recordStart(flag: number, address: number, block?: string): Buffer {
  if (block === undefined) return be64(address + flag + RAM_FLAG.CONTINUE);
  return Buffer.concat([be64(address + flag), named(block)]);
}

export function page(address: number, content: Uint8Array, block?: string): Buffer {
  return Buffer.concat([recordStart(RAM_FLAG.PAGE, address, block), content]);
}

export function zeroPage(address: number, block?: string): Buffer {
  return Buffer.concat([recordStart(RAM_FLAG.ZERO, address, block), Buffer.alloc(1)]);
}

export function xbzrle(address: number, delta: Uint8Array, block?: string): Buffer {
  const head = recordStart(RAM_FLAG.XBZRLE, address, block);
  return Buffer.concat([head, Buffer.from([1]), be16(delta.length), delta]);
}

export function compressedPage(address: number, data: Uint8Array, block?: string): Buffer {
  const head = recordStart(RAM_FLAG.COMPRESS_PAGE, address, block);
  return Buffer.concat([head, be32(data.length), data]);
}

export function command(code: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from([ELEMENT.COMMAND]), be16(code), be16(payload.length), payload]);
}

export function packaged(content: Uint8Array): Buffer {
  return Buffer.concat([command(7, be32(content.length)), content]);
}

export function device(id: number, name: string, payload: Uint8Array): Buffer {
  return Buffer.concat([sectionHeader('full', id, name, 1), payload, footer(id)]);
}

export function description(text: string): Buffer {
  return Buffer.concat([
    Buffer.from([ELEMENT.END, ELEMENT.DESCRIPTION]),
    be32(text.length),
    Buffer.from(text),
  ]);
}

export function message(code: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([be16(code), be16(payload.length), payload]);
}

export function bitmap(content: Uint8Array): Buffer {
  return Buffer.concat([be64(content.length), content, Buffer.from(RECV_BITMAP_END_BYTES)]);
}

export function multifdHello(id: number): Buffer {
  const bytes = Buffer.alloc(MULTIFD.HELLO_BYTES);
  bytes.writeUInt32BE(MULTIFD.MAGIC);
  bytes.writeUInt32BE(MULTIFD.VERSION, 4);
  bytes[24] = id;
  return bytes;
}

export interface Packet {
  readonly flags?: number;
  readonly block?: string;
  readonly pages?: readonly { readonly address: number; readonly content: Uint8Array }[];
  readonly zeros?: readonly number[];
  /** Instead of the pages' content: what a compression made of it. */
  readonly data?: Uint8Array;
  /** The room for pages that the header states; 0 in a sync since QEMU 9.0. */
  readonly room?: number;
}

export function multifdPacket(packet: Packet): Buffer {
  const { flags = 0, block = '', pages = [], zeros = [], room = 128 } = packet;
  const content = packet.data ?? Buffer.concat(pages.map((each) => each.content));
  const header = Buffer.alloc(
    MULTIFD.PAGES_HEADER_BYTES + 8 * (MULTIFD.PACKET_BYTES / DEFAULT_PAGE_BYTES),
  );
  const fields = [MULTIFD.MAGIC, MULTIFD.VERSION, flags, room, pages.length, content.length];
  for (const [index, value] of fields.entries()) header.writeUInt32BE(value, 4 * index);
  header.writeUInt32BE(zeros.length, 32);
  header.write(block, MULTIFD.PAGES_HEADER_BYTES - MULTIFD.NAME_BYTES, 'latin1');
  const addresses = [...pages.map(({ address }) => address), ...zeros];
  for (const [index, address] of addresses.entries()) {
    be64(address).copy(header, MULTIFD.PAGES_HEADER_BYTES + 8 * index);
  }
  return Buffer.concat([header, content]);
}

export function multifdDevice(name: string, data: Uint8Array): Buffer {
  const header = Buffer.alloc(MULTIFD.DEVICE_HEADER_BYTES);
  header.writeUInt32BE(MULTIFD.MAGIC);
  header.writeUInt32BE(MULTIFD.VERSION, 4);
  header.writeUInt32BE(MULTIFD.FLAG_DEVICE_STATE, 8);
  header.write(name, MULTIFD.PREFIX_BYTES, 'latin1');
  header.writeUInt32BE(data.length, MULTIFD.DEVICE_HEADER_BYTES - 4);
  return Buffer.concat([header, data]);
}
