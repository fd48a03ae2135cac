import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import type { Store } from './open.ts';

/**
 * Whether a moment in the future that was written as at most `aheadMs` ahead is over. By the database's clock, which can be
 * set back: a moment that lies much further ahead was written before that, and is over too. Else what a controller left
 * that died would be nobody's, and what is to be done undone, until the clock is there again.
 */
export function isOver(
  column: string,
  { nowMs }: Pick<Store, 'nowMs'>,
  aheadMs: number,
): RawBuilder<boolean> {
  const moment = sql.ref(column);
  return sql<boolean>`(${moment} <= ${nowMs} or ${moment} > ${nowMs} + ${sql.lit(2 * aheadMs)})`;
}
