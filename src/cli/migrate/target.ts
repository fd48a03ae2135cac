import { godwitError } from '../../errors.ts';
import { isEnd, type MigrationSummary } from '../../protocol/public/migration.ts';
import { diskMoveId } from '../../protocol/public/disk-move.ts';
import { requestId } from '../../protocol/public/order.ts';
import { phaseWords } from '../../words/progress.ts';
import { printable } from '../../words/style.ts';
import type { AgentSet } from '../connection/agent-set.ts';
import { newestMigration } from './fleet-migrations.ts';

/** Target of `godwit watch` and `godwit cancel`: an id shows its kind, any other word is the name of a guest. */
export type TargetKind = 'migration' | 'disk' | 'request' | 'guest';

export function targetKind(word: string): TargetKind {
  if (word.startsWith('m-')) return 'migration';
  if (diskMoveId.safeParse(word).success) return 'disk';
  return requestId.safeParse(word).success ? 'request' : 'guest';
}

export const isUnderWay = ({ phase }: MigrationSummary): boolean => !isEnd(phase);

export async function underWayId(fleet: AgentSet, word: string): Promise<string | undefined> {
  if (targetKind(word) === 'migration') return word;
  const known = await fleet.directory?.underWay(word);
  if (known !== undefined) return known;
  const isWanted = (each: MigrationSummary): boolean => each.guest === word && isUnderWay(each);
  return (await newestMigration(fleet, isWanted))?.id;
}

export async function noneUnderWay(fleet: AgentSet, guest?: string): Promise<string> {
  const last = await newestMigration(fleet, (each) => guest === undefined || each.guest === guest);
  const subject = guest === undefined ? 'no migration' : `no migration of ${guest}`;
  const words =
    last === undefined
      ? ''
      : `; the newest is over: ${last.guest} from ${last.from} to ${last.to}, ${phaseWords(last.phase)} (${last.id})`;
  return printable(`${subject} is under way${words}`);
}

/** GODWIT_USAGE if there is nothing to cancel. */
export async function mustBeUnderWay(fleet: AgentSet, word: string): Promise<string> {
  const id = await underWayId(fleet, word);
  if (id !== undefined) return id;
  const what = await noneUnderWay(fleet, word);
  throw godwitError('GODWIT_USAGE', { what }, { hint: '`godwit migrations` lists all.' });
}
