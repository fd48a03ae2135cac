import type { GuestView } from './model.ts';

/** How the guests of a host are drawn in a given space. */
export interface Blocks {
  /** Named blocks where they all fit so; else small ones, whose names are read out and shown on touch. */
  readonly size: 'named' | 'small';
  readonly shown: readonly GuestView[];
  /** Further ones, for which there is no space. */
  readonly hidden: number;
}

export interface Space {
  /** px. */
  readonly width: number;
  readonly lines: number;
}

/** px, with what is between two. 24 px and more: a finger finds each. */
export const SMALL_PX = 28;
export const LINE_PX = 28;
const NAMED_PX = 90;

const isMoving = ({ state }: GuestView): boolean => state === 'migrating' || state === 'incoming';

/**
 * Fits guests into lines of blocks. Where there are too many, the last block stands for the rest; those that move are
 * always drawn, as far as there is any space. The order is kept. Pure.
 */
export function blocksIn(guests: readonly GuestView[], { width, lines }: Space): Blocks {
  const perLine = (px: number): number => Math.max(1, Math.floor(width / px));
  const named = perLine(NAMED_PX) * lines;
  if (guests.length <= named) return { size: 'named', shown: guests, hidden: 0 };
  const small = perLine(SMALL_PX) * lines;
  if (guests.length <= small) return { size: 'small', shown: guests, hidden: 0 };
  // The last place says how many more there are, in the width of two blocks.
  const places = Math.max(1, small - 2);
  const moving = guests.filter(isMoving).slice(0, places);
  const still = new Set(guests.filter((each) => !isMoving(each)).slice(0, places - moving.length));
  const chosen = new Set([...moving, ...still]);
  const shown = guests.filter((each) => chosen.has(each));
  return { size: 'small', shown, hidden: guests.length - shown.length };
}

/** Lines that so many guests take, with their names where `most` lines have space for these. Pure. */
export function linesFor(guests: number, width: number, most: number): number {
  const perLine = Math.max(1, Math.floor(width / NAMED_PX));
  return Math.min(most, Math.max(1, Math.ceil(guests / perLine)));
}
