/** Messages of a tunneled connection on its channel, in order; a channel is free again after `closed` from each end. */
export type Message =
  /** To the destination: a connection begins. */
  | { readonly kind: 'open' }
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  /** The hypervisor here took `taken` more bytes, and `room` more may be sent. */
  | { readonly kind: 'room'; readonly taken: number; readonly room: number }
  /** This end is closed, and nothing follows. Without `end` before it, the connection broke. */
  | { readonly kind: 'closed' };

export class BadTunnelMessage extends Error {
  override readonly name = 'BadTunnelMessage';
}

const KINDS = { open: 1, data: 2, end: 3, room: 4, closed: 5 } as const;
const BARE = new Map<number, Message>([
  [KINDS.open, { kind: 'open' }],
  [KINDS.end, { kind: 'end' }],
  [KINDS.closed, { kind: 'closed' }],
]);
const ROOM_BYTES = 9;

/** Maximum data per message: half of Node's read size of a socket. */
export const MAX_DATA = 32 * 1024;

export function writeMessage(message: Message): Uint8Array {
  switch (message.kind) {
    case 'data': {
      // In one piece with its kind, because the session keeps it.
      const bytes = Buffer.allocUnsafe(message.bytes.length + 1);
      bytes[0] = KINDS.data;
      bytes.set(message.bytes, 1);
      return bytes;
    }
    case 'room': {
      const bytes = Buffer.allocUnsafe(ROOM_BYTES);
      bytes[0] = KINDS.room;
      bytes.writeUInt32BE(message.taken, 1);
      bytes.writeUInt32BE(message.room, 5);
      return bytes;
    }
    default:
      return Uint8Array.of(KINDS[message.kind]);
  }
}

/** The data is a view, not a copy. Throws BadTunnelMessage. */
export function readMessage(bytes: Uint8Array): Message {
  const kind = bytes[0] ?? 0;
  if (kind === KINDS.data) {
    if (bytes.length < 2 || bytes.length - 1 > MAX_DATA) {
      throw new BadTunnelMessage(`${bytes.length - 1} bytes of a connection in one message`);
    }
    return { kind: 'data', bytes: bytes.subarray(1) };
  }
  if (kind === KINDS.room && bytes.length === ROOM_BYTES) {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    return { kind: 'room', taken: view.readUInt32BE(1), room: view.readUInt32BE(5) };
  }
  const bare = bytes.length === 1 ? BARE.get(kind) : undefined;
  if (bare === undefined) throw new BadTunnelMessage(`kind ${kind} in ${bytes.length} bytes`);
  return bare;
}
