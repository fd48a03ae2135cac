import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GodwitError } from '../../../../src/errors.ts';
import {
  initialDestination,
  type DestinationEvent,
} from '../../../../src/migration/direct/destination/destination.ts';
import { destinationRecord } from '../../../../src/migration/direct/journal.ts';
import type { JournalFile } from '../../../../src/system/journal-file.ts';
import { Journal } from '../../../../src/host/journal/journal.ts';
import { Ledger } from '../../../../src/mover/direct/destination/ledger.ts';
import { admissionOf } from '../../../protocol/peer/admission.ts';

const admission = admissionOf({ epoch: 7 });
const ARMED: DestinationEvent = { type: 'armed', epoch: 7, bootId: 'boot-1' };

function ledgerOn(fault: Partial<JournalFile>): { ledger: Ledger; failures: GodwitError[] } {
  const file: JournalFile = {
    read: () => Buffer.alloc(0),
    write: (line, at) => line.length - at,
    truncate: () => {},
    sync: async () => {},
    close: () => {},
    ...fault,
  };
  const clock = { wallMs: () => 0, monotonicMs: () => 0, sleep: async () => {} };
  const journal = new Journal({ file, bytes: 0, records: 0, sum: 0 }, destinationRecord, clock);
  const failures: GodwitError[] = [];
  const state = initialDestination({ type: 'admitted', admission, host: 'b' });
  return { ledger: new Ledger(journal, 'b', state, (error) => failures.push(error)), failures };
}

test('an event that cannot be written has not happened, and can be tried again', async () => {
  let full = true;
  const { ledger, failures } = ledgerOn({
    write: (line, at) => {
      if (full) throw new Error('ENOSPC: no space left on device, write');
      return line.length - at;
    },
  });
  await assert.rejects(ledger.record(ARMED), { code: 'GODWIT_JOURNAL' });
  assert.equal(ledger.state.right, 'none');
  assert.equal(ledger.failure, undefined);
  full = false;
  await ledger.record(ARMED);
  assert.equal(ledger.state.right, 'armed');
  assert.deepEqual(failures, []);
});

test('an event that cannot be synced ends the mover, which may not answer for it', async () => {
  const { ledger, failures } = ledgerOn({
    sync: () => Promise.reject(new Error('EIO: i/o error, fdatasync')),
  });
  await assert.rejects(ledger.record(ARMED), { code: 'GODWIT_JOURNAL' });
  assert.equal(ledger.failure?.code, 'GODWIT_JOURNAL');
  assert.equal(failures.length, 1);
});
