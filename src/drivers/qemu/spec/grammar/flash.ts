import { MAX_FLASH_BYTES, flashName } from '../flash.ts';
import type { GuestSpec } from '../schema.ts';
import type { Refused } from './judge.ts';

/**
 * Chips of firmware: each once, on an image of its own that the same description has. One that is known by its content
 * is whole by itself, and small: the destination reads all of its files of that size. Pure.
 */
export function judgeFlash({ flash = [], blockNodes = [] }: GuestSpec): Refused[] {
  const units = new Set<number>();
  const nodes = new Set<string>();
  return flash.flatMap(({ unit, node, image }, index): Refused[] => {
    const like = blockNodes.find((each) => each.node === node);
    const isBelow = blockNodes.some(({ backing }) => backing === node);
    const refuse = (allowed: string): Refused[] => [
      { path: ['flash', index], what: `${flashName(unit)} on ${node}`, allowed },
    ];
    if (units.has(unit) || nodes.has(node)) return refuse('each chip once, on a node of its own');
    units.add(unit);
    nodes.add(node);
    if (like === undefined || like.filters !== undefined || isBelow)
      return refuse('the uppermost node of an image');
    if (image === undefined) return [];
    if (like.backing !== undefined) return refuse('an image without a backing file');
    if (image.bytes > MAX_FLASH_BYTES) return refuse(`at most ${MAX_FLASH_BYTES} bytes`);
    return [];
  });
}
