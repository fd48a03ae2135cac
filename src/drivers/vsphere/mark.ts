import { z } from 'zod';
import { migrationId } from '../../protocol/names.ts';

/**
 * Godwit's mark in a custom attribute of the guest during a migration, because vSphere does not name tasks. It
 * is written before the order is sent. Pure.
 */
export const ATTRIBUTE = 'godwit.migration';

const mark = z.tuple([
  migrationId,
  /** Task, once known. */
  z.string().regex(/^(-|[\w.-]{1,128})$/),
  /** vCenter's time before the order. */
  z.iso.datetime({ offset: true }),
]);

export interface Mark {
  readonly id: string;
  readonly task?: string | undefined;
  readonly since: string;
}

export function markText({ id, task, since }: Mark): string {
  return [id, task ?? '-', since].join(' ');
}

/** Undefined if it is not Godwit's mark: anyone who may edit attributes may write there. */
export function parseMark(text: string | undefined): Mark | undefined {
  const parsed = mark.safeParse(text?.split(' ')).data;
  if (parsed === undefined) return undefined;
  const [id, task, since] = parsed;
  return { id, since, ...(task === '-' ? {} : { task }) };
}
