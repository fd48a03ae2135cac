import { hasCode } from '../../../src/errors.ts';
import type { openDestinationJournal as OpenJournal } from '../../../src/host/journal/journal.ts';
import type { encodeLine as EncodeLine } from '../../../src/host/journal/journal-lines.ts';
import { ADMISSION, RECORDS } from '../events.ts';
import { loadShell, type Edit } from './load.ts';

/** What the movers' own code makes of a journal in which a synced record is another one than was written. */

/** It holds and changes nothing; or it goes on with what stands before that record. */
export type DamageResponse = 'holds' | 'cuts';

export async function damagedJournal(edit?: Edit): Promise<DamageResponse> {
  const { encodeLine } = await loadShell<{ encodeLine: typeof EncodeLine }>(
    'src/host/journal/journal-lines.ts',
    edit,
  );
  const { openDestinationJournal } = await loadShell<{
    openDestinationJournal: typeof OpenJournal;
  }>('src/host/journal/journal.ts', edit);
  const admitted = { type: 'admitted', admission: ADMISSION, host: 'b' } as const;
  const events = [admitted, RECORDS.armed0, RECORDS.refused];
  let sum = 0;
  const lines = events.map((event, seq) => {
    const made = encodeLine({ v: 1, seq, at: 0, mono: 0, event } as never, sum);
    ({ sum } = made);
    return made.line;
  });
  const { length } = Buffer.concat(lines);
  const bytes = Buffer.concat(lines);
  bytes[length - 30]! ^= 1;
  let kept = length;
  const file = {
    read: () => bytes,
    write: () => 0,
    truncate: (to: number) => {
      kept = to;
    },
    sync: async () => undefined,
    close: () => undefined,
  };
  try {
    const { events: read } = openDestinationJournal('/nowhere', {} as never, () => file);
    const before = lines.slice(0, 2).reduce((all, each) => all + each.length, 0);
    if (read.length === 2 && kept === before) return 'cuts';
    throw new Error(`${read.length} records are read of one that is damaged`);
  } catch (thrown) {
    if (!hasCode(thrown, 'GODWIT_JOURNAL_DAMAGED') || kept !== length) throw thrown;
    return 'holds';
  }
}
