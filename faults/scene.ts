/** One migration of a cell, as those see it who wait for its moment and who strike. */
import type { Cell } from './cell.ts';
import type { DiskWatch } from './disks/watch.ts';
import type { JournalTail } from './journal-tail.ts';
import type { Witness } from './witness.ts';

export interface Scene {
  readonly cell: Cell;
  readonly from: string;
  readonly to: string;
  readonly witness: Witness;
  readonly source: JournalTail;
  readonly destination: JournalTail;
  /** Where the guest has disks of its own. */
  readonly disks?: DiskWatch | undefined;
}
