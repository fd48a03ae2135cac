import { z } from 'zod';
import { migrationId } from '../../protocol/names.ts';

/**
 * What Godwit leaves at a guest, in a custom attribute of the vCenter, for as long as a migration of it lasts: vSphere has no
 * name of ours for a task. It lies there before the order leaves. Pure.
 */
export const ATTRIBUTE = 'godwit.migration';

const mark = z.tuple([
  migrationId,
  /** Its task, once that is known. */
  z.string().regex(/^(-|[\w.-]{1,128})$/),
  /** The vCenter's time before the order. */
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

/** Undefined for what is no mark of Godwit's: whoever may edit attributes may write there. */
export function parseMark(text: string | undefined): Mark | undefined {
  const parsed = mark.safeParse(text?.split(' ')).data;
  if (parsed === undefined) return undefined;
  const [id, task, since] = parsed;
  return { id, since, ...(task === '-' ? {} : { task }) };
}
