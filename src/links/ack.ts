import { CHANNELS } from './session.ts';
import { BadLinkFrame } from './format.ts';

/** Count of a channel's frames that were taken in total. */
export type AckEntry = readonly [channel: number, frames: number];

const ENTRY_BYTES = 8;

/** One entry per channel: u8 channel, u56 frames. */
export function writeAck(taken: readonly AckEntry[]): Uint8Array {
  const payload = Buffer.allocUnsafe(taken.length * ENTRY_BYTES);
  for (const [at, [channel, frames]] of taken.entries()) {
    payload[at * ENTRY_BYTES] = channel;
    payload[at * ENTRY_BYTES + 1] = 0;
    payload.writeUIntBE(frames, at * ENTRY_BYTES + 2, 6);
  }
  return payload;
}

export function readAck(payload: Uint8Array): AckEntry[] {
  if (payload.length % ENTRY_BYTES !== 0 || payload.length > CHANNELS * ENTRY_BYTES) {
    throw new BadLinkFrame(`an ack frame of ${payload.length} bytes`);
  }
  const view = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  return Array.from({ length: payload.length / ENTRY_BYTES }, (_, entry): AckEntry => {
    const at = entry * ENTRY_BYTES;
    const channel = view[at] ?? 0;
    if (channel >= CHANNELS || view[at + 1] !== 0) throw new BadLinkFrame('an ack of no channel');
    return [channel, view.readUIntBE(at + 2, 6)];
  });
}
