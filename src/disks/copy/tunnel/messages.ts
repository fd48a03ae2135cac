/**
 * What the two ends of a connection through the tunnel say on its channel; all of it in order, so that a channel can
 * serve another connection once each end has said `closed`.
 */
export type Message =
  /** To the destination: a connection begins. */
  | { readonly kind: 'open' }
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  /** No more data follows. */
  | { readonly kind: 'end' }
  /** `taken` more bytes are with the hypervisor here, and `room` more may be sent. */
  | { readonly kind: 'room'; readonly taken: number; readonly room: number }
  /** This end has closed the connection: nothing else follows. Without an `end` before it, it broke. */
  | { readonly kind: 'closed' };

/** The other side sent something that is no message of a tunnel. */
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

/** Bytes of a connection that one message carries at most: half of what Node reads of a socket at once. */
export const MAX_DATA = 32 * 1024;

export function writeMessage(message: Message): Uint8Array {
  switch (message.kind) {
    case 'data': {
      // With its kind in one piece: the session keeps what it is given until the other side has it.
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

/** Reads a message; its data are the given bytes, not a copy. Throws BadTunnelMessage. */
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
