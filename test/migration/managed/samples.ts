import fc from 'fast-check';
import { STEP_NAMES, type ManagedEvent } from '../../../src/migration/managed/events.ts';
import { godwitError } from '../../../src/errors.ts';
import { WIRE_FIGURES } from '../../wire/figures.ts';
import {
  migrationSettings,
  type MigrationSettings,
} from '../../../src/protocol/public/migration.ts';

export const planned = (
  settings: Partial<MigrationSettings> = {},
): Extract<ManagedEvent, { type: 'planned' }> => ({
  type: 'planned',
  id: 'm-00000001',
  guest: 'web1',
  from: 'a',
  to: 'b',
  settings: migrationSettings.parse(settings),
  askedAtMs: 1000,
});

export const error = godwitError('GODWIT_UNREACHABLE', {
  peer: 'the manager',
  address: 'x',
  reason: 'silent',
}).toJSON();

const step = fc.constantFrom(...STEP_NAMES);
const copies = [{ name: 'vda', file: '/d/web1.raw', format: 'raw', sizeBytes: 1, place: 'd' }];
/** It begins at once, or later. */
export const anyPlanned = fc
  .constantFrom<Partial<MigrationSettings>>({}, { noticeMs: 60_000 })
  .map((settings) => planned(settings));

const reading = fc.constantFrom(
  'wait' as const,
  'inspect' as const,
  'check' as const,
  'prepare' as const,
  'finish' as const,
);

/** Whatever a mover may hear, in whatever order. */
export const anyEvent: fc.Arbitrary<ManagedEvent> = fc.oneof(
  { weight: 4, arbitrary: reading.map((at) => ({ type: 'did' as const, step: at, facts: {} })) },
  step.map((at) => ({ type: 'failed' as const, step: at, error })),
  fc.constantFrom<ManagedEvent>(
    { type: 'ordered' },
    { type: 'accepted' },
    { type: 'refused', error },
    { type: 'unanswered', error },
    { type: 'settled' },
    { type: 'cancel' },
    { type: 'undone' },
    { type: 'undone', error },
    { type: 'did', step: 'check', facts: { copies } },
    { type: 'taken-over', pid: 7 },
    { type: 'wire', figures: WIRE_FIGURES },
    { type: 'wire', figures: WIRE_FIGURES, why: 'its links are cut' },
  ),
  fc
    .constantFrom('none' as const, 'running' as const, 'done' as const, 'cancelled' as const)
    .map((state) => ({ type: 'saw' as const, task: { state } })),
  fc.constant<ManagedEvent>({ type: 'saw', task: { state: 'failed', reason: 'no room' } }),
  {
    weight: 3,
    arbitrary: fc
      .record(
        {
          at: fc.constantFrom('source', 'destination', 'elsewhere', 'unknown'),
          busy: fc.boolean(),
        },
        { noNullPrototype: true },
      )
      .map((where) => ({ type: 'found' as const, where })),
  },
  step.map((at) => ({ type: 'timeout' as const, step: at, afterMs: 1000 })),
);
