/** A migration on which nobody knew where its guest was: as its mover left it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../../src/clock.ts';
import type { GuestHandle } from '../../../src/port/inventory.ts';
import { MANAGED_JOURNAL, open } from '../../../src/host/journal/journal.ts';
import { openJournalFile } from '../../../src/system/journal-file.ts';
import type { ManagedEvent } from '../../../src/migration/managed/events.ts';
import { journalFile, type ManagedMoverRequest } from '../../../src/protocol/mover/request.ts';
import { migrationRequest, migrationSettings } from '../../../src/protocol/public/migration.ts';

export interface HeldMigration {
  readonly id: string;
  readonly guest: string;
  readonly handle: GuestHandle;
  readonly from: string;
  readonly to: string;
}

/** Written into the directory of that migration, while its agent is down. */
export function leaveHeld(dir: string, { id, guest, handle, from, to }: HeldMigration): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const request: ManagedMoverRequest = {
    version: 2,
    lifecycle: 'managed',
    id,
    side: 'source',
    fromHost: from,
    toHost: to,
    createdAt: new Date().toISOString(),
    request: migrationRequest.parse({ guest, to }),
    handle,
  };
  writeFileSync(path.join(dir, 'request.json'), JSON.stringify(request));
  const file = path.join(dir, journalFile('managed'));
  const { journal } = open(file, openJournalFile(file), MANAGED_JOURNAL, systemClock);
  const settings = migrationSettings.parse({});
  const events: ManagedEvent[] = [
    { type: 'planned', id, guest, from, to, settings },
    { type: 'did', step: 'inspect', facts: {} },
    { type: 'did', step: 'check', facts: {} },
    { type: 'ordered' },
    { type: 'accepted' },
    { type: 'timeout', step: 'watch', afterMs: 1000 },
    { type: 'timeout', step: 'watch', afterMs: 1000 },
    { type: 'timeout', step: 'verify', afterMs: 1000 },
  ];
  for (const event of events) journal.write(event);
}
