import { godwitError, type SerialError } from '../../src/errors.ts';
import type { DestinationEvent } from '../../src/migration/direct/destination/destination.ts';
import type { HypervisorEvent } from '../../src/migration/direct/hypervisor.ts';
import type { Proof } from '../../src/migration/direct/run-right.ts';
import type { SourceEvent } from '../../src/migration/direct/source/source-state.ts';
import { STEP_NAMES, type StepName } from '../../src/migration/direct/source/steps.ts';
import { planned, preparationOf } from '../migration/direct/samples.ts';

/** Every event that the model can bring about, by number, so that a transition is called once for each. */

/** One error of each code that leads somewhere else; of an error the transition reads nothing but its code. */
const facts = { guest: 'web1', reason: 'it was to be' };
export const ERRORS = {
  unreachable: godwitError('GODWIT_UNREACHABLE', { ...facts, peer: 'b', address: 'b:1' }).toJSON(),
  deadline: godwitError('GODWIT_DEADLINE', { what: 'it', deadlineMs: 1 }).toJSON(),
  notArmed: godwitError('GODWIT_NOT_ARMED', { ...facts, host: 'b', epoch: 17 }).toJSON(),
  held: godwitError('GODWIT_HELD', facts).toJSON(),
  lost: godwitError('GODWIT_LOST', facts).toJSON(),
  gone: godwitError('GODWIT_HYPERVISOR_LOST', { ...facts, side: 'source' }).toJSON(),
  goneThere: godwitError('GODWIT_HYPERVISOR_LOST', { ...facts, side: 'destination' }).toJSON(),
  unknown: godwitError('GODWIT_MIGRATION_UNKNOWN', {
    ...facts,
    id: 'm-00000001',
    host: 'b',
  }).toJSON(),
  broken: godwitError('GODWIT_STREAM_FAILED', facts).toJSON(),
  other: godwitError('GODWIT_STEP_FAILED', { ...facts, step: 'it' }).toJSON(),
} as const satisfies Record<string, SerialError>;
export type ErrorName = keyof typeof ERRORS;
const ERROR_NAMES = Object.keys(ERRORS) as ErrorName[];

/** The name of an error that the model leads somewhere else by. */
export function errorNameOf(error: SerialError): ErrorName {
  const side = error.facts?.['side'];
  return (
    ERROR_NAMES.find((name) => {
      const known: SerialError = ERRORS[name];
      return known.code === error.code && known.facts?.['side'] === side;
    }) ?? 'other'
  );
}

export const SOURCE_EVENTS: SourceEvent[] = [];
const add = (event: SourceEvent): number => SOURCE_EVENTS.push(event) - 1;

function perStep<T>(make: (step: StepName) => T): Record<StepName, T> {
  return Object.fromEntries(STEP_NAMES.map((step) => [step, make(step)])) as Record<StepName, T>;
}

function perError<T>(make: (error: SerialError) => T): Record<ErrorName, T> {
  return Object.fromEntries(ERROR_NAMES.map((name) => [name, make(ERRORS[name])])) as Record<
    ErrorName,
    T
  >;
}

const FACTS = {
  admit: { moverAddress: 'b:7001' },
  prepare: { memoryAddress: 'b:49152', tlsHostname: 'b' },
} as const;

export const DID = perStep((step) =>
  add({ type: 'did', step, facts: step === 'admit' || step === 'prepare' ? FACTS[step] : {} }),
);
export const FAILED = perStep((step) => perError((error) => add({ type: 'failed', step, error })));
export const UNDID = perStep((step) => add({ type: 'undid', step }));
export const UNDO_FAILED = perStep((step) =>
  perError((error) => add({ type: 'undo-failed', step, error })),
);
export const RECOVERY_FAILED = add({ type: 'recovery-failed', error: ERRORS.deadline });
export const DESTINATION_LOST = add({ type: 'destination-lost', error: ERRORS.unreachable });
/** It says itself that its hypervisor is gone. */
export const DESTINATION_GONE = add({
  type: 'destination-lost',
  error: godwitError('GODWIT_HYPERVISOR_LOST', { ...facts, side: 'destination' }).toJSON(),
});
export const DECIDED = add({ type: 'decided', what: 'postcopy', why: 'it was to be' });
export const CANCEL = add({ type: 'cancel' });
export const TIMEOUT = add({ type: 'timeout', afterMs: 1 });
export const TAKEN_OVER = add({ type: 'taken-over', pid: 99 });
export const TAKEN_OVER_REBOOTED = add({ type: 'taken-over', pid: 99, rebooted: true });

/** An operator's orders, with where the source's hypervisor stood when it was asked. */
const resolvedTo = (
  runAt: 'source' | 'destination',
  proof: 'ask' | Proof,
): Record<'handed-over' | 'running' | 'gone', number> => ({
  'handed-over': add({ type: 'resolved', runAt, proof, by: 'ann', here: 'handed-over' }),
  running: add({ type: 'resolved', runAt, proof, by: 'ann', here: 'running' }),
  gone: add({ type: 'resolved', runAt, proof, by: 'ann', here: 'gone' }),
});
export const RESOLVED = {
  source: {
    ask: resolvedTo('source', 'ask'),
    observed: resolvedTo('source', 'observed'),
    fenced: resolvedTo('source', 'fenced'),
    operator: resolvedTo('source', 'operator'),
  },
  destination: { ask: resolvedTo('destination', 'ask') },
};
export const FENCED = add({ type: 'fenced', host: 'b', by: 'the hook' });

/**
 * What the source's hypervisor says, by number; 0 is silence. `stopped` and `resumed` are left out: the transition
 * notes them for the report and decides nothing by them. So are `setup`, `pass` and `postcopy-recovering`.
 */
const SAYS = [
  'active',
  'pre-switchover',
  'device',
  'completed',
  'failed',
  'cancelled',
  'postcopy-active',
  'postcopy-paused',
  'lost',
] as const;
export type Says = (typeof SAYS)[number];

const hypervisorEvents = SAYS.map((type) =>
  add({ type: 'hypervisor', event: { type, reason: 'it was to be' } as HypervisorEvent }),
);

export function saysNumber(says: Says): number {
  return SAYS.indexOf(says) + 1;
}
export function saysName(number: number): Says {
  return SAYS[number - 1]!;
}
export function saysEvent(number: number): number {
  return hypervisorEvents[number - 1]!;
}

export const PLANNED = {
  precopy: planned(),
  hybrid: planned({ mode: 'hybrid' }),
  /** Its guest may come to the switch in either way. */
  rehearsal: planned({ mode: 'hybrid', rehearse: true }),
};
const { id, guest, from, epoch, settings } = PLANNED.precopy;
export const EPOCH = epoch;

export const ADMISSION = {
  id,
  guest,
  from,
  epoch,
  timeoutMs: settings.timeoutMs,
  memoryBytes: 1 << 30,
};
const handle = { driver: 'fake', name: 'web1', pid: 2, startTicks: 1, monitor: 'm' };
const ports = { net0: 'gwt0' };

/** What the destination records; `armed` carries the boot it was written in. */
export const RECORDS = {
  preparing: { type: 'preparing', preparation: preparationOf(PLANNED.precopy), ports },
  prepared: { type: 'prepared', handle, memoryAddress: 'b:49152' },
  armed0: { type: 'armed', epoch, bootId: 'boot-0' },
  armed1: { type: 'armed', epoch, bootId: 'boot-1' },
  armed2: { type: 'armed', epoch, bootId: 'boot-2' },
  armed3: { type: 'armed', epoch, bootId: 'boot-3' },
  committed: { type: 'committed', epoch },
  running: { type: 'running', epoch, resumeMs: 1 },
  refused: { type: 'refused', epoch, why: 'the source asked' },
  lost: { type: 'hypervisor', event: { type: 'lost', reason: 'it was to be' } },
  failed: { type: 'failed', error: ERRORS.other },
  released: { type: 'released' },
  finished: { type: 'finished' },
  resolved: { type: 'resolved', epoch, proof: 'fenced', by: 'ann' },
  overruled: { type: 'overruled', epoch, why: 'the source runs it' },
  neverRan: { type: 'taken-over', pid: 7, neverRan: true },
  'never-ran': { type: 'never-ran', epoch, why: 'its QEMU is gone' },
  mayHaveRun: { type: 'taken-over', pid: 7, neverRan: false },
} as const satisfies Record<string, DestinationEvent>;
export type RecordName = keyof typeof RECORDS;
