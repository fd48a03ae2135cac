/**
 * QEMU's migration stream from 7.2 to 11.1 as tables, this project's only description of the format.
 * src/wire/stream/README.md explains it. All integers are big-endian; `since` and `until` are QEMU versions, absent
 * for all supported ones.
 */
export const FILE_MAGIC = 0x5145_564d;
export const FILE_VERSION = 3;

/** First byte of each element on the main channel. */
export const ELEMENT = {
  END: 0x00,
  SECTION_START: 0x01,
  SECTION_PART: 0x02,
  SECTION_END: 0x03,
  SECTION_FULL: 0x04,
  SUBSECTION: 0x05,
  DESCRIPTION: 0x06,
  CONFIGURATION: 0x07,
  COMMAND: 0x08,
  FOOTER: 0x7e,
} as const;

/** Iterable section of guest memory, and its payload's version. */
export const RAM_SECTION = { name: 'ram', version: 4 } as const;

/** Low bits of a RAM record's first 8 bytes; the rest is an address in a block. */
export const RAM_FLAG = {
  ZERO: 0x02,
  MEM_SIZE: 0x04,
  PAGE: 0x08,
  EOS: 0x10,
  CONTINUE: 0x20,
  XBZRLE: 0x40,
  /** RDMA only. */
  HOOK: 0x80,
  /** Until 9.0. */
  COMPRESS_PAGE: 0x100,
  /** Since 8.1. */
  MULTIFD_FLUSH: 0x200,
} as const;

export const XBZRLE_ENCODING = 1;

/** `payloadBytes`: payload length of a valid command; absent if it varies. */
export interface MessageFormat {
  readonly name: string;
  readonly payloadBytes?: number;
  readonly since?: string;
}

export const COMMANDS: ReadonlyMap<number, MessageFormat> = new Map([
  [1, { name: 'OPEN_RETURN_PATH', payloadBytes: 0 }],
  [2, { name: 'PING', payloadBytes: 4 }],
  [3, { name: 'POSTCOPY_ADVISE' }],
  [4, { name: 'POSTCOPY_LISTEN', payloadBytes: 0 }],
  [5, { name: 'POSTCOPY_RUN', payloadBytes: 0 }],
  [6, { name: 'POSTCOPY_RAM_DISCARD' }],
  [7, { name: 'PACKAGED', payloadBytes: 4 }],
  /** In 10.2; 11.1 refuses it. */
  [8, { name: 'ENABLE_COLO', payloadBytes: 0 }],
  [9, { name: 'POSTCOPY_RESUME', payloadBytes: 0 }],
  [10, { name: 'RECV_BITMAP' }],
  [11, { name: 'SWITCHOVER_START', payloadBytes: 0, since: '10.0' }],
]);
export const COMMAND = { POSTCOPY_ADVISE: 3, PACKAGED: 7 } as const;

/** Messages from the destination to the source, on the main channel's socket. */
export const RETURN_MESSAGES: ReadonlyMap<number, MessageFormat> = new Map([
  [1, { name: 'SHUT', payloadBytes: 4 }],
  [2, { name: 'PONG', payloadBytes: 4 }],
  [3, { name: 'REQ_PAGES_ID' }],
  [4, { name: 'REQ_PAGES', payloadBytes: 12 }],
  /** Followed by 8 bytes of size, that many bytes of bitmap, and RECV_BITMAP_END_BYTES. */
  [5, { name: 'RECV_BITMAP' }],
  [6, { name: 'RESUME_ACK', payloadBytes: 4 }],
  [7, { name: 'SWITCHOVER_ACK', payloadBytes: 0, since: '8.1' }],
]);
export const RETURN = { RECV_BITMAP: 5 } as const;
/** QEMU refuses longer ones. */
export const MAX_RETURN_PAYLOAD = 512;
export const RECV_BITMAP_END_BYTES = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef] as const;

/** Subsections of the configuration, without length fields. Capabilities are a list of names instead. */
export const CONFIGURATION = {
  TARGET_PAGE_BITS: { name: 'configuration/target-page-bits', bytes: 4 },
  CAPABILITIES: { name: 'configuration/capabilities' },
  UUID: { name: 'configuration/uuid', bytes: 16 },
} as const;
/** Capabilities that change the list of RAM blocks. */
export const IGNORE_SHARED = 'x-ignore-shared';
export const MAPPED_RAM = 'mapped-ram';

export const MULTIFD = {
  MAGIC: 0x1122_3344,
  VERSION: 1,
  HELLO_BYTES: 64,
  /** Magic, version, flags. */
  PREFIX_BYTES: 12,
  /** Header of a page packet, before its list of offsets. */
  PAGES_HEADER_BYTES: 320,
  /** Header of a device state packet; since 10.0. */
  DEVICE_HEADER_BYTES: 276,
  NAME_BYTES: 256,
  /** Pages of one packet; the list of offsets always has space for all of them. */
  PACKET_BYTES: 512 * 1024,
  FLAG_SYNC: 0x01,
  /** 1 zlib, 2 zstd, since 9.1 also 4 QPL, 8 UADK, 16 QATzip, each shifted by one bit. */
  FLAG_METHOD: 0x3e,
  /** Since 10.0. */
  FLAG_DEVICE_STATE: 0x40,
} as const;

export const DEFAULT_PAGE_BYTES = 4096;
export const MIN_PAGE_BYTES = 1024;
export const MAX_PAGE_BYTES = 65_536;
/** Smallest page size of QEMU's hosts, and thus of a block. */
export const MIN_HOST_PAGE_BYTES = 4096;
const MAX_NAME_BYTES = 255;
/** Our own limits, far above QEMU's values; excess data is not parsed. */
export const MAX_BLOCKS = 4096;
export const MAX_SECTIONS = 4096;
/** RAM record with a name and the largest page, the largest item that is buffered. */
export const MAX_HELD_BYTES = 8 + 1 + MAX_NAME_BYTES + MAX_PAGE_BYTES;
