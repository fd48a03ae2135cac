/** Migrations of a manager's guests whose movers are all in this process: many at once, without a process for each. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../src/clock.ts';
import type { GuestHandle } from '../../src/port/inventory.ts';
import type { ManagedDriver } from '../../src/port/managed.ts';
import { openJournalFile } from '../../src/system/journal-file.ts';
import { silentLog } from '../../src/log.ts';
import { ManagedMover } from '../../src/mover/managed/main.ts';
import type { ManagedMoverRequest } from '../../src/protocol/mover/request.ts';
import { migrationRequest, type EndPhase } from '../../src/protocol/public/migration.ts';

export interface OneMove {
  readonly id: string;
  readonly guest: string;
  readonly handle: GuestHandle;
  /** Godwit's names of hosts. */
  readonly from: string;
  readonly to: string;
}

/** Runs one migration to its end, with a driver of its own and a journal below the directory. */
export async function moveBy(
  driver: ManagedDriver & { close?(): Promise<void> },
  { id, guest, handle, from, to }: OneMove,
  directory: string,
): Promise<EndPhase> {
  const dir = path.join(directory, id);
  mkdirSync(dir);
  const request: ManagedMoverRequest = {
    version: 2,
    side: 'source',
    lifecycle: 'managed',
    id,
    request: migrationRequest.parse({ guest, to }),
    handle,
    fromHost: from,
    toHost: to,
    createdAt: new Date().toISOString(),
  };
  const around = {
    config: { name: 'a', stateDir: dir, limits: { bandwidth: [] } },
    clock: systemClock,
    log: silentLog,
    pid: process.pid,
    openFile: openJournalFile,
  };
  try {
    return await new ManagedMover(dir, request, driver, around).run();
  } finally {
    await driver.close?.();
  }
}

/** As Godwit calls a host of the simulator. */
export const hostNameIn = (name: string): string => name.toLowerCase().replaceAll('_', '-');
