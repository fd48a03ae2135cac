import { count } from '../base/text.ts';

/** Rows that a table draws at most: more make a page slow, and nobody reads them. */
export const MAX_ROWS = 500;

/** Says how many rows of a table are not drawn, where there are any. */
export function More({ of }: { of: number }) {
  return of > MAX_ROWS ? <p class="soft">and {count(of - MAX_ROWS)} more</p> : null;
}
