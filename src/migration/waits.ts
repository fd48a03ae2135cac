import type { MigrationSettings } from '../protocol/public/migration.ts';
import { formatDuration } from '../protocol/quantity.ts';

/** Waits of a migration before its start, for every kind of mover. Pure. */

type Waits = Pick<MigrationSettings, 'notBefore' | 'whenQuiet' | 'noticeMs'>;

export function isToWait({ notBefore, whenQuiet, noticeMs }: Waits): boolean {
  return (notBefore ?? whenQuiet ?? noticeMs) !== undefined;
}

export function waitWords({ notBefore, whenQuiet, noticeMs }: Waits): string {
  const reported = noticeMs === undefined ? '' : ` with a notice of ${formatDuration(noticeMs)}`;
  const until = `${notBefore === undefined ? '' : ` until ${notBefore}`}${reported}`;
  if (whenQuiet === undefined) return `waits${until}`;
  const quiet = `for a quiet moment, ${formatDuration(whenQuiet.withinMs)} at most`;
  return `waits${until === '' ? '' : `${until}, and then`} ${quiet}`;
}
