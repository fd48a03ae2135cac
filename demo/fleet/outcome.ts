/** What the demo of a fleet found, its table, its closing words and its JSON. Pure. */
import type { SerialError } from '../../src/errors.ts';
import type { Painter } from '../../src/words/style.ts';
import { renderTable, type Look } from '../../src/words/table.ts';
import { formatDuration } from '../../src/protocol/quantity.ts';
import type { Machine } from '../json.ts';
import { isFine, type MoveResult } from '../outcome.ts';

/** A guest that left the drained host. */
export interface DrainedGuest {
  readonly guest: string;
  readonly result: MoveResult;
}

/** All that a run found; the parts that it did not come to are absent. */
export interface FleetRun {
  readonly machine: Machine;
  readonly drain?:
    | {
        readonly host: string;
        /** How the controller says that it ended. */
        readonly phase: string;
        readonly words: string;
        /** The guests that were on the host. */
        readonly asked: readonly string[];
        readonly guests: readonly DrainedGuest[];
      }
    | undefined;
  readonly dashboard?: { readonly url: string; readonly token: string } | undefined;
  readonly leftBehind: readonly string[];
  readonly error?: SerialError | undefined;
  readonly keptLab?: string | undefined;
  readonly totalMs: number;
}

/** True when the host is empty, each of its guests came through unharmed, and nothing was left behind. */
export function isGoodFleet({ drain, error, leftBehind }: FleetRun): boolean {
  if (error !== undefined || drain?.phase !== 'done' || leftBehind.length > 0) return false;
  return drain.asked.every((name) =>
    drain.guests.some(({ guest, result }) => guest === name && isFine(result)),
  );
}

/** What `--json` prints; its shape is in demo/README.md. */
export function fleetJson(run: FleetRun): object {
  const { drain, dashboard, error, keptLab, machine } = run;
  return {
    ok: isGoodFleet(run),
    ...(drain === undefined ? {} : { drain: drainJson(drain) }),
    // A lab that is down has no dashboard.
    ...(keptLab === undefined ? {} : { keptLab, dashboard }),
    environment: machine,
    leftBehind: run.leftBehind,
    totalMs: Math.round(run.totalMs),
    ...(error === undefined ? {} : { error }),
  };
}

function drainJson({ host, phase, words, guests }: NonNullable<FleetRun['drain']>): object {
  return { host, phase, words, guests: guests.map(({ guest, result }) => ({ guest, ...result })) };
}

const HEAD = ['GUEST', 'FROM', 'TO', 'TOTAL', 'DOWNTIME', 'CLIENT GAP', 'VERDICT'];

/** A row for each guest, and below it what went wrong. */
export function drainTable(guests: readonly DrainedGuest[], look: Look): string {
  const { paint } = look;
  const rows = guests.map(({ guest, result }) => [
    guest,
    result.from,
    result.to,
    or(result.totalMs),
    or(result.downtimeMs),
    or(result.clientGapMs),
    verdictOf(result, paint),
  ]);
  const notes = guests.flatMap(({ guest, result }) =>
    result.problems.map((problem) => `${paint.red('✘')} ${guest}: ${problem}\n`),
  );
  return `${renderTable(HEAD, rows, look)}${notes.join('')}`;
}

function verdictOf(result: MoveResult, paint: Painter): string {
  if (isFine(result)) return paint.green('connection kept, memory verified');
  return paint.red(result.outcome === 'done' ? 'DAMAGED' : result.outcome.toUpperCase());
}

function or(ms: number | undefined): string {
  return ms === undefined ? '-' : formatDuration(ms);
}

/** How a person gets to the dashboard. */
export function loginLines(url: string, token: string): [string, string] {
  return [
    `${url}  (its certificate is this lab's own: the browser asks once)`,
    `sign in with the token ${token}`,
  ];
}

/** With --keep: what to do with the fleet as it stands. */
export function fleetNextSteps(
  lab: string,
  { url, token, socket }: { readonly url: string; readonly token: string; readonly socket: string },
  host: string,
): string {
  const steps: [string, string][] = [
    [`export GODWIT_CONTROLLER=${socket}`, 'the commands below mean this fleet'],
    ['./godwit hosts', 'the hosts, by the controller'],
    [`./godwit undrain ${host}`, `let guests come to ${host} again`],
    ['./godwit drain b', 'drain the next host, and watch it on the page'],
    ['./godwit stats', 'what the migrations came to'],
    [`./godwit lab down --name ${lab}`, 'take it all down'],
  ];
  const widest = Math.max(...steps.map(([command]) => command.length));
  const lines = steps.map(([command, why]) => `  ${command.padEnd(widest)}   # ${why}`);
  const [address, key] = loginLines(url, token);
  return `The fleet is still up:\n  ${address}\n  ${key}\nBy hand:\n${lines.join('\n')}\n`;
}
