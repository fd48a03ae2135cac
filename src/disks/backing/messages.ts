import { z } from 'zod';
import { serialError } from '../../protocol/errors.ts';
import { nodeName } from '../../protocol/disk.ts';
import { LAST_STREAM } from '../copy/tunnel/mux.ts';

/** Messages about backing files, sent next to a tunnel's connections. */

/** To the destination, in bulk: images one after the other, as begin, data and end. */
export const DATA_CHANNEL = LAST_STREAM + 1;
/** To the source. */
export const ANSWER_CHANNEL = 1;

/** `attempt` is repeated in answers, so that late answers do not count. */
export type BackingMessage =
  | { readonly kind: 'begin'; readonly attempt: number; readonly node: string }
  /** Bytes of the file, with growing offsets; gaps are zero. */
  | { readonly kind: 'data'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  /** The source gives it up. */
  | { readonly kind: 'stop' };

const which = { attempt: z.number().int().min(0).max(0xffff_ffff), node: nodeName };

const backingAnswer = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready'), ...which }),
  z.object({ type: z.literal('whole'), ...which }),
  z.object({ type: z.literal('failed'), ...which, error: serialError }),
]);
export type BackingAnswer = z.infer<typeof backingAnswer>;

export class BadBackingMessage extends Error {
  override readonly name = 'BadBackingMessage';
}

const KINDS = { begin: 1, data: 2, end: 3, stop: 4 } as const;
const BEGIN_BYTES = 5;
const HEAD_BYTES = 7;

export function writeBackingMessage(message: BackingMessage): Uint8Array {
  switch (message.kind) {
    case 'begin': {
      const head = Buffer.alloc(BEGIN_BYTES, KINDS.begin);
      head.writeUInt32BE(message.attempt, 1);
      return Buffer.concat([head, Buffer.from(message.node, 'latin1')]);
    }
    case 'data': {
      const bytes = Buffer.allocUnsafe(HEAD_BYTES + message.bytes.length);
      bytes[0] = KINDS.data;
      bytes.writeUIntBE(message.offset, 1, 6);
      bytes.set(message.bytes, HEAD_BYTES);
      return bytes;
    }
    default:
      return Uint8Array.of(KINDS[message.kind]);
  }
}

/** Throws BadBackingMessage. */
export function readBackingMessage(bytes: Uint8Array): BackingMessage {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const kind = view[0];
  if (kind === KINDS.begin && view.length > BEGIN_BYTES) {
    const node = nodeName.safeParse(view.toString('latin1', BEGIN_BYTES));
    if (node.success) return { kind: 'begin', attempt: view.readUInt32BE(1), node: node.data };
  }
  if (kind === KINDS.data && view.length > HEAD_BYTES) {
    return { kind: 'data', offset: view.readUIntBE(1, 6), bytes: bytes.subarray(HEAD_BYTES) };
  }
  if (kind === KINDS.end && view.length === 1) return { kind: 'end' };
  if (kind === KINDS.stop && view.length === 1) return { kind: 'stop' };
  throw new BadBackingMessage(`kind ${kind ?? 'none'} in ${bytes.length} bytes`);
}

export function writeBackingAnswer(answer: BackingAnswer): Uint8Array {
  return Buffer.from(JSON.stringify(answer));
}

/** Throws BadBackingMessage. */
export function readBackingAnswer(bytes: Uint8Array): BackingAnswer {
  try {
    return backingAnswer.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (error) {
    throw new BadBackingMessage('no answer of a backing file', { cause: error });
  }
}
