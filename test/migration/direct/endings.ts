import assert from 'node:assert/strict';
import { ERRORS } from '../../../src/errors.ts';
import type { SourceState } from '../../../src/migration/direct/source/source-state.ts';
import type { StepName } from '../../../src/migration/direct/source/steps.ts';
import type { MigrationSettings } from '../../../src/protocol/public/migration.ts';
import type { World } from './world.ts';

/** Where a world stands, and how it must have ended. */

export const isDoing = (step: StepName) => (world: World) =>
  world.state.doing.kind === 'do' && world.state.doing.step === step && world.pending.length > 0;

/** The exit code that the table has for how it ended; 0 after success. */
export function exitCodeOf({ doing, because }: SourceState): number {
  const isDone = doing.kind === 'end' && doing.outcome === 'done';
  return isDone || because === undefined ? 0 : ERRORS[because.code].exit;
}

/** Steps that only a migration has whose guest has disks that the hosts do not share, or a device that is unplugged. */
export function isOfDisks(step: StepName): boolean {
  return step === 'seed' || step === 'mirror' || step === 'unplug';
}

/** What must be asked for so that a migration has that step. */
export function askedFor(step: StepName): Partial<MigrationSettings> {
  if (step === 'balloon') return { balloon: 'available' };
  return step === 'wait' ? { notBefore: '2026-05-01T01:00:00.000Z' } : {};
}

/** The guest runs where it ran, as it was, and the other host is as it was. */
export function assertSourceRuns(world: World): void {
  assert.equal(world.run, 'running');
  assert.equal(world.configured, false);
  assert.equal(world.mirroring, false);
  assert.equal(world.unplugged, false);
  assert.equal(world.ballooned, false);
  assert.ok(
    world.destination === undefined || world.destination.isClean,
    'something is left there',
  );
}

export function assertHandedOver(world: World): void {
  assert.equal(world.outcome, 'done');
  assert.equal(world.run, 'gone');
  assert.equal(world.mirroring, false);
  assert.equal(world.destination?.hypervisor, 'running');
  assert.equal(world.destination?.state.stage, 'finished');
  assert.equal(world.state.right, 'passed');
}
