import type { MigrationSettings } from '../protocol/public/migration.ts';
import { formatDuration } from '../protocol/quantity.ts';

/** What a migration waits for before it begins, whoever moves the guest. Pure. */

type Waits = Pick<MigrationSettings, 'notBefore' | 'whenQuiet' | 'noticeMs'>;

/** It is to begin later than at once. */
export function isToWait({ notBefore, whenQuiet, noticeMs }: Waits): boolean {
  return (notBefore ?? whenQuiet ?? noticeMs) !== undefined;
}

/** What it waits for, in words. */
export function waitWords({ notBefore, whenQuiet, noticeMs }: Waits): string {
  const reported = noticeMs === undefined ? '' : ` with a notice of ${formatDuration(noticeMs)}`;
  const until = `${notBefore === undefined ? '' : ` until ${notBefore}`}${reported}`;
  if (whenQuiet === undefined) return `waits${until}`;
  const quiet = `for a quiet moment, ${formatDuration(whenQuiet.withinMs)} at most`;
  return `waits${until === '' ? '' : `${until}, and then`} ${quiet}`;
}
