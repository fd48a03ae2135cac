/** Migrations of a vCenter's guests whose movers are all in this process: many at once, without a process for each. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../../../src/clock.ts';
import { VsphereDriver } from '../../../../src/drivers/vsphere/driver.ts';
import type { VsphereOptions } from '../../../../src/drivers/vsphere/options.ts';
import type { GuestHandle } from '../../../../src/drivers/port/inventory.ts';
import { openJournalFile } from '../../../../src/host/journal-file.ts';
import { silentLog } from '../../../../src/log.ts';
import { ManagedMover } from '../../../../src/mover/managed/main.ts';
import type { ManagedMoverRequest } from '../../../../src/protocol/mover/request.ts';
import { migrationRequest } from '../../../../src/protocol/public/migration.ts';
import type { EndPhase } from '../../../../src/protocol/public/migration.ts';

export interface OneMove {
  readonly id: string;
  readonly guest: string;
  readonly handle: GuestHandle;
  /** Godwit's names of hosts. */
  readonly from: string;
  readonly to: string;
}

/** Runs one migration to its end, with a session of its own and a journal below the directory. */
export async function moveBy(
  options: VsphereOptions,
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
  const driver = new VsphereDriver(options);
  const around = {
    clock: systemClock,
    log: silentLog,
    pid: process.pid,
    openFile: openJournalFile,
  };
  try {
    return await new ManagedMover(dir, request, driver, around).run();
  } finally {
    await driver.close();
  }
}

/** As Godwit calls a host of the simulator. */
export const hostNameIn = (name: string): string => name.toLowerCase().replaceAll('_', '-');
