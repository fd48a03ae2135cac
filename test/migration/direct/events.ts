import fc from 'fast-check';
import { godwitError, type SerialError } from '../../../src/errors.ts';
import type { HypervisorEvent } from '../../../src/migration/direct/hypervisor.ts';
import type { SourceEvent } from '../../../src/migration/direct/source/source-state.ts';
import { STEP_NAMES } from '../../../src/migration/direct/source/steps.ts';
import type { DiskLatency } from '../../../src/protocol/disk.ts';
import { diskLinkOf, planned, sampleOf, wireReportOf } from './samples.ts';

/** Everything that could ever be reported to a source, in no order that makes sense. */

const record = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record<T>(shape, { noNullPrototype: true });

const reason = fc.string({ maxLength: 20 });

export const anyHypervisorEvent: fc.Arbitrary<HypervisorEvent> = fc.oneof(
  record({ type: fc.constant('pass' as const), round: fc.nat(100) }),
  record({
    type: fc.constantFrom('postcopy-paused' as const, 'failed' as const, 'lost' as const),
    reason,
  }),
  record({
    type: fc.constantFrom(
      'setup' as const,
      'active' as const,
      'stopped' as const,
      'resumed' as const,
      'pre-switchover' as const,
      'device' as const,
      'postcopy-active' as const,
      'postcopy-recovering' as const,
      'completed' as const,
      'cancelled' as const,
    ),
  }),
);

export const anyError: fc.Arbitrary<SerialError> = fc
  .constantFrom(
    godwitError('GODWIT_STEP_FAILED', { step: 'x', reason: 'y' }),
    godwitError('GODWIT_NOT_ARMED', { host: 'b', guest: 'g', epoch: 1, reason: 'y' }),
    godwitError('GODWIT_HELD', { guest: 'g', reason: 'y' }),
    godwitError('GODWIT_LOST', { guest: 'g', reason: 'y' }),
    godwitError('GODWIT_HYPERVISOR_LOST', { side: 'source', guest: 'g', reason: 'y' }),
    godwitError('GODWIT_DEADLINE', { what: 'x', deadlineMs: 1 }),
  )
  .map((error) => error.toJSON());

const step = fc.constantFrom(...STEP_NAMES);

export const anyEvent: fc.Arbitrary<SourceEvent> = fc.oneof(
  fc.constant(planned()),
  record({ type: fc.constant('did' as const), step, facts: fc.constant({}) }),
  record({ type: fc.constant('failed' as const), step, error: anyError }),
  record({ type: fc.constant('undid' as const), step }),
  fc.constant({ type: 'gave-up' as const }),
  record({ type: fc.constant('undo-failed' as const), step, error: anyError }),
  record({ type: fc.constant('hypervisor' as const), event: anyHypervisorEvent }),
  record({
    type: fc.constant('measured' as const),
    sample: fc.nat(9).map((round) => sampleOf({ round })),
    final: fc.boolean(),
  }),
  record({
    type: fc.constant('decided' as const),
    what: fc.constant('postcopy' as const),
    why: reason,
  }),
  record({
    type: fc.constantFrom(
      'give-up-failed' as const,
      'destination-lost' as const,
      'recovery-failed' as const,
      'unset' as const,
    ),
    error: anyError,
  }),
  record({
    type: fc.constant('resolved' as const),
    runAt: fc.constantFrom('source' as const, 'destination' as const, 'elsewhere' as const),
    proof: fc.constantFrom('ask' as const, 'observed' as const, 'fenced' as const),
    by: fc.constant('ann'),
    here: fc.constantFrom('handed-over' as const, 'running' as const, 'unknown' as const),
  }),
  record({ type: fc.constant('stalled' as const), forMs: fc.nat(10_000) }),
  record({ type: fc.constant('flows' as const), over: fc.constant('10.0.0.2:7443') }),
  record({
    type: fc.constant('fenced' as const),
    host: fc.constant('b'),
    by: fc.constant('the hook'),
  }),
  record({ type: fc.constant('wire' as const), figures: fc.constant(wireReportOf()), why: reason }),
  record({
    type: fc.constant('disk-link' as const),
    figures: fc.constant(diskLinkOf()),
    why: reason,
  }),
  record({
    type: fc.constant('latency' as const),
    disks: fc.constant<DiskLatency[]>([{ node: 'disk0', before: { reads: { count: 0 } } }]),
  }),
  record({
    type: fc.constant('compared' as const),
    check: fc.constant({
      verdict: 'equal' as const,
      comparedBytes: 1,
      excludedBytes: 0,
      differentBytes: 0,
      tookMs: 1,
    }),
  }),
  record({ type: fc.constant('cancel' as const) }),
  record({ type: fc.constant('timeout' as const), afterMs: fc.nat(1000) }),
  record({ type: fc.constant('taken-over' as const), pid: fc.nat(1000) }),
);
