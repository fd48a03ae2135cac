/**
 * Reads an overview from its text beside the page: of 10,000 hosts that takes longer than a frame may. It is sent the
 * text once, and answers each message with the next piece; at the end with nothing.
 */
import type { Overview } from '../../../src/protocol/controller/overview.ts';
import { piecesOf, type Piece } from './pieces.ts';

let pieces: Iterator<Piece> | undefined;

addEventListener('message', ({ data }: MessageEvent<ArrayBuffer | undefined>) => {
  pieces ??= piecesOf(JSON.parse(new TextDecoder().decode(data)) as Overview);
  const next = pieces.next();
  postMessage(next.done === true ? undefined : next.value);
});
