import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { systemClock } from '../../../../src/clock.ts';
import {
  destinationAfter,
  initialDestination,
  type DestinationEvent,
} from '../../../../src/migration/direct/destination/destination.ts';
import { Ledger } from '../../../../src/mover/direct/destination/ledger.ts';
import { openDestinationJournal, readJournals } from '../../../../src/host/journal/journal.ts';
import { admissionOf, planned, preparationOf } from '../../../migration/direct/samples.ts';

const PREPARED = {
  type: 'prepared',
  handle: { driver: 'fake', name: 'web1', pid: 1, startTicks: 1, monitor: '/qmp' },
  memoryAddress: 'b:49152',
} as const;

/** The ledger of a destination that is armed, and what came after. */
export function ledgerOf(
  t: TestContext,
  mode: 'precopy' | 'postcopy' | 'cold',
  ...more: DestinationEvent[]
) {
  const dir = mkdtempSync(path.join(tmpdir(), 'godwit-'));
  const { journal } = openDestinationJournal(dir, systemClock);
  t.after(async () => {
    await journal.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const plan = planned({ mode });
  const admission = { ...admissionOf(plan), settings: plan.settings };
  const admitted = { type: 'admitted', admission, host: 'b' } as const;
  const preparing = { type: 'preparing', preparation: preparationOf(plan), ports: {} } as const;
  const armed = { type: 'armed', epoch: plan.epoch, bootId: 'boot-1' } as const;
  journal.write(admitted);
  const events: DestinationEvent[] = [preparing, PREPARED, armed, ...more];
  const state = events.reduce(destinationAfter, initialDestination(admitted));
  const ledger = new Ledger(journal, 'b', state, () => undefined);
  const journaled = () =>
    readJournals(dir)
      .destination.slice(1)
      .map(({ event }) => event);
  return { ledger, journaled };
}
