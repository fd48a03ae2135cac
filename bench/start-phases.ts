/** The time from a command to the first byte of memory, in its parts. Pure. */
import type { SourceRecord } from '../src/migration/direct/journal.ts';
import type { StepName } from '../src/migration/direct/source/steps.ts';

/** Wall clock, ms, as reported by who did each thing. */
export interface StartTimes {
  readonly spawnedAtMs: number;
  /** The agent had looked at the guest and the destination, and wrote the request down. */
  readonly requestedAtMs: number;
  /** The source's journal. */
  readonly records: readonly SourceRecord[];
  /** The source's QEMU says that it took the order to migrate, and that its stream is active. */
  readonly orderedAtMs: number;
  readonly firstByteAtMs: number;
}

/** ms; they add up to `totalMs`. */
export interface StartParts {
  /** The command starts, and asks the agent. The agent finds the guest. */
  readonly commandMs: number;
  /** Both movers start: the source's until its first record, the destination's until it has admitted the guest. */
  readonly moversMs: number;
  /** The guest is inspected at the source and assessed at the destination. */
  readonly checksMs: number;
  /** The destination's port and its QEMU, until that listens for memory. */
  readonly destinationMs: number;
  /** The source's stream is set, both sides are armed, the order is given. */
  readonly armingMs: number;
  /** QEMU connects, with its TLS handshake. */
  readonly connectingMs: number;
  readonly totalMs: number;
}

/** Throws when the journal lacks a step, which then is no start that came to its first byte. */
export function startParts(times: StartTimes): StartParts {
  const { spawnedAtMs, requestedAtMs, records, orderedAtMs, firstByteAtMs } = times;
  const planned = records.find(({ event }) => event.type === 'planned');
  if (planned === undefined) throw new Error('the journal does not begin with a plan');
  const admittedAt = doneAt(records, 'admit');
  const assessedAt = doneAt(records, 'assess');
  const preparedAt = doneAt(records, 'prepare');
  return {
    commandMs: requestedAtMs - spawnedAtMs,
    moversMs: admittedAt - requestedAtMs,
    checksMs: assessedAt - admittedAt,
    destinationMs: preparedAt - assessedAt,
    armingMs: orderedAtMs - preparedAt,
    connectingMs: firstByteAtMs - orderedAtMs,
    totalMs: firstByteAtMs - spawnedAtMs,
  };
}

function doneAt(records: readonly SourceRecord[], step: StepName): number {
  const found = records.find(({ event }) => event.type === 'did' && event.step === step);
  if (found === undefined) throw new Error(`the journal does not say that ${step} was done`);
  return found.at;
}
