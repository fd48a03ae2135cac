/** iSCSI messages (RFC 7143) for a read-only client. Pure. */

const HEADER_BYTES = 48;
/** Maximum segment of the target, announced at login. */
export const MAX_SEGMENT_BYTES = 64 * 1024;
/** Limit for lengths that the target chooses. */
const MAX_BYTES = 256 * 1024;
/** Header, extensions, and padded data. */
export const MAX_PDU_BYTES = HEADER_BYTES + 255 * 4 + MAX_BYTES;

export const OPCODES = {
  nopOut: 0x00,
  command: 0x01,
  login: 0x03,
  logout: 0x06,
  nopIn: 0x20,
  response: 0x21,
  loginResponse: 0x23,
  dataIn: 0x25,
  asynchronous: 0x32,
} as const;

/** Marks a message that is processed at once and not counted as a command. */
export const IMMEDIATE = 0x40;
/** Marks the last message of a stage or a command. */
export const GO_ON = 0x80;
export const NO_TAG = 0xffff_ffff;

export interface Pdu {
  readonly header: Buffer;
  readonly data: Buffer;
}

export function opcodeOf({ header }: Pdu): number {
  return header.readUInt8(0) & 0x3f;
}

export function headerOf(opcode: number, flags: number, tag: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(opcode, 0);
  header.writeUInt8(flags, 1);
  header.writeUInt32BE(tag, 16);
  return header;
}

/** Adds the data length to the header, and pads the data to four bytes. */
export function encode(header: Buffer, data: Buffer = Buffer.alloc(0)): Buffer {
  header.writeUIntBE(data.length, 5, 3);
  return Buffer.concat([header, data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
}

/** First whole message of `bytes`, and the rest; undefined if incomplete. Throws if it is too long. */
export function decode(bytes: Buffer): { readonly pdu: Pdu; readonly rest: Buffer } | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const extra = bytes.readUInt8(4) * 4;
  const length = bytes.readUIntBE(5, 3);
  if (length > MAX_BYTES) throw new Error(`it sent ${length} bytes in one piece`);
  const start = HEADER_BYTES + extra;
  const end = start + length + ((4 - (length % 4)) % 4);
  if (bytes.length < end) return undefined;
  const header = bytes.subarray(0, HEADER_BYTES);
  return {
    pdu: { header, data: bytes.subarray(start, start + length) },
    rest: bytes.subarray(end),
  };
}

/** `Key=Value` pairs of a negotiation. */
export function encodeKeys(keys: Readonly<Record<string, string>>): Buffer {
  return Buffer.from(
    Object.entries(keys)
      .map(([key, value]) => `${key}=${value}\0`)
      .join(''),
  );
}

export function decodeKeys(data: Buffer): ReadonlyMap<string, string> {
  const pairs = data.toString('latin1').split('\0').slice(0, 256);
  return new Map(
    pairs.flatMap((pair) => {
      const at = pair.indexOf('=');
      return at <= 0 ? [] : [[pair.slice(0, at), pair.slice(at + 1)] as const];
    }),
  );
}

export const WANTS_LOGIN = 0x0201;
const LOGIN_PROBLEMS: Readonly<Record<number, string>> = {
  [WANTS_LOGIN]: 'it wants a login (CHAP), or another one',
  0x0202: 'it does not let this initiator in',
  0x0203: 'it has no target of that name, or none for this initiator',
  0x0204: 'its target is gone',
  0x0301: 'its service is not available',
  0x0302: 'it has no resources left for a session',
};

/** Reason of a failed login, by status `class << 8 | detail`. */
export function loginProblem(status: number): string {
  return (
    LOGIN_PROBLEMS[status] ??
    `it refuses the login with status 0x${status.toString(16).padStart(4, '0')}`
  );
}
