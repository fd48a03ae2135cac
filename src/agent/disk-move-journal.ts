import path from 'node:path';
import type { Clock } from '../clock.ts';
import type { GodwitError } from '../errors.ts';
import { open, type OpenedJournal } from '../host/journal.ts';
import { openJournalFile, readJournalBytes } from '../host/journal-file.ts';
import { LineReader } from '../host/journal-lines.ts';
import { diskMoveRecord, type DiskMoveEvent } from '../migration/disk-move.ts';

const KIND = { schema: diskMoveRecord, first: 'begun' } as const;

/** A move of a disk whose journal cannot be read: nobody knows where it stands. */
export interface HeldMove {
  readonly id: string;
  readonly guest: string;
  readonly device: string;
  readonly error: GodwitError;
}

/** GODWIT_JOURNAL_DAMAGED, with the file as it was, where it is not as it was written. */
export function openMoveJournal(dir: string, clock: Clock): OpenedJournal<DiskMoveEvent> {
  const file = fileIn(dir);
  return open<DiskMoveEvent>(file, openJournalFile(file), KIND, clock);
}

/** The disk that a move with such a journal moves; none where its first record cannot be read either. */
export function heldMoves(id: string, dir: string, error: GodwitError): HeldMove[] {
  try {
    const [first] = new LineReader(KIND).take(readJournalBytes(fileIn(dir)));
    if (first?.event.type !== 'begun') return [];
    const { guest, disk: device } = first.event.plan.request;
    return [{ id, guest, device, error }];
  } catch {
    return [];
  }
}

function fileIn(dir: string): string {
  return path.join(dir, 'journal.jsonl');
}
