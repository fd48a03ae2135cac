import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { Clock } from '../../../../src/clock.ts';
import { parseAgentConfig } from '../../../../src/config.ts';
import { silentLog } from '../../../../src/log.ts';
import {
  initialDestination,
  type DestinationState,
} from '../../../../src/migration/direct/destination/destination.ts';
import { DestinationMover } from '../../../../src/mover/direct/destination/mover.ts';
import type { FleetQuestion } from '../../../../src/mover/direct/ask-fleet.ts';
import { fleetOf } from '../fleets.ts';
import { openPlaceIds } from '../../../../src/mover/direct/destination/disks/place-ids.ts';
import { openDestinationJournal, readJournals } from '../../../../src/host/journal/journal.ts';
import type { Preparation } from '../../../../src/protocol/peer/migration.ts';
import { TwoHosts } from '../two-hosts.ts';
import { admissionOf } from '../../../protocol/peer/admission.ts';

const NOW = { bootId: 'boot-1', uptimeMs: 100_000 };

/** A destination’s mover with a made-up hypervisor, and time that passes when the test says so. */

export const EPOCH = 5;
export const LEASE_MS = 180_000;
export const never: AbortSignal = new AbortController().signal;

/** Time that passes when the test says so. */
class Time implements Clock {
  now = 0;
  wallMs(): number {
    return this.now;
  }
  monotonicMs(): number {
    return this.now;
  }
  async sleep(): Promise<void> {}
}

export interface Scene {
  readonly mover: DestinationMover;
  readonly hosts: TwoHosts;
  readonly time: Time;
  readonly dir: string;
  /** What is journaled, as its types. */
  readonly journaled: () => string[];
  readonly preparation: Preparation;
}

const preparationOf = (hosts: TwoHosts): Preparation => ({
  epoch: EPOCH,
  description: {
    driver: 'fake',
    name: 'web1',
    memoryBytes: hosts.source.guest.memoryBytes,
    vcpus: 1,
    hypervisorVersion: '1.0.0',
    spec: { machine: 'fake-1', dirtyRate: 1, nics: [] },
  },
  stream: { mode: 'precopy', streams: 1, compress: 'none', tls: true },
});

export async function open(
  t: TestContext,
  state?: DestinationState,
  tookOver = false,
  fleet: FleetQuestion = fleetOf(),
): Promise<Scene> {
  const dir = mkdtempSync(path.join(tmpdir(), 'godwit-'));
  const hosts = await TwoHosts.boot('precopy');
  const time = new Time();
  const { journal } = openDestinationJournal(dir, time);
  const admission = admissionOf({ memoryBytes: hosts.source.guest.memoryBytes, epoch: EPOCH });
  const admitted = { type: 'admitted', admission, host: 'b' } as const;
  await journal.append(admitted, 'sync');
  const text = JSON.stringify({ name: 'b', address: '127.0.0.1:7001', stateDir: dir });
  const mover = new DestinationMover(
    {
      dir,
      placeIds: openPlaceIds(dir),
      config: parseAgentConfig('agent.json', text),
      driver: hosts.driver('b', { dead: false, silent: false }),
      bootTime: () => NOW,
      journal,
      clock: time,
      log: silentLog,
      fleet,
      since: '2026-11-24T10:00:00Z',
    },
    { ...initialDestination(admitted), ...state },
  );
  t.after(async () => {
    await mover.close();
    hosts.close();
    rmSync(dir, { recursive: true, force: true });
  });
  await mover.start(tookOver);
  const journaled = (): string[] => readJournals(dir).destination.map(({ event }) => event.type);
  return { mover, hosts, time, dir, journaled, preparation: preparationOf(hosts) };
}

export async function armed(t: TestContext, fleet?: FleetQuestion): Promise<Scene> {
  const scene = await open(t, undefined, false, fleet);
  await scene.mover.prepare(scene.preparation, never);
  await scene.mover.arm(EPOCH);
  return scene;
}

/** As if the source had handed everything over. */
export function arrive({ hosts }: Scene): void {
  const { source, destination } = hosts;
  assert.ok(destination !== undefined);
  source.run = 'handed-over';
  destination.run = 'paused';
}
