/** The demo as one JSON object. Pure. */
import type { SerialError } from '../src/errors.ts';
import type { LabGuest } from '../lab/guest/registry.ts';
import type { ClientView } from '../lab/probe/probe.ts';
import { isFine, type Outcome } from './outcome.ts';

/** The machine, as far as it matters for the figures. */
export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly kernel: string;
  readonly node: string;
  readonly rootless: boolean;
}

/** All that a run of the demo found; the parts that it did not come to are absent. */
export interface DemoRun {
  readonly machine: Machine;
  readonly guest?: LabGuest | undefined;
  readonly outcomes: readonly Outcome[];
  readonly client?: { readonly view: ClientView; readonly oneConnection: boolean } | undefined;
  /** A line for each thing that was left behind, by a migration or by taking down. */
  readonly leftBehind: readonly string[];
  readonly error?: SerialError | undefined;
  /** The name of the lab where it was left up. */
  readonly keptLab?: string | undefined;
  readonly totalMs: number;
}

/** True when every mode was moved or left out for a reason, and nothing was left behind. */
export function isGood(run: DemoRun): boolean {
  return (
    run.error === undefined &&
    run.outcomes.length > 0 &&
    run.outcomes.every(isFine) &&
    run.leftBehind.length === 0 &&
    run.client?.oneConnection === true
  );
}

/** What `--json` prints; its shape is in demo/README.md. */
export function jsonOf(run: DemoRun): object {
  const { guest, client, error, keptLab } = run;
  return {
    ok: isGood(run),
    migrations: run.outcomes.map((outcome) => entryOf(outcome)),
    environment: { ...run.machine, ...(guest === undefined ? {} : { guest: guestOf(guest) }) },
    ...(client === undefined ? {} : { client: clientOf(client) }),
    leftBehind: run.leftBehind,
    totalMs: Math.round(run.totalMs),
    ...(keptLab === undefined ? {} : { keptLab }),
    ...(error === undefined ? {} : { error }),
  };
}

function entryOf(outcome: Outcome): object {
  if (!('skipped' in outcome)) return outcome;
  const { mode, skipped } = outcome;
  return { mode, skipped };
}

function guestOf(guest: LabGuest): object {
  const { memoryBytes, staticBytes, dirtyBytes, dirtyBytesPerSecond } = guest;
  const { qemuVersion, machineType, accelerator } = guest;
  return {
    memoryBytes,
    staticBytes,
    dirtyBytes,
    dirtyBytesPerSecond,
    qemuVersion,
    machineType,
    accelerator,
  };
}

function clientOf({ view, oneConnection }: NonNullable<DemoRun['client']>): object {
  const { sent, received, lost, doubled, localPort } = view;
  return { oneConnection, localPort, sent, received, lost, doubled };
}
