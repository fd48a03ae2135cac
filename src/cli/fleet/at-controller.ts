import { randomBytes } from 'node:crypto';
import { ERRORS, godwitError, type GodwitError } from '../../errors.ts';
import type { controllerContract } from '../../protocol/controller/contract.ts';
import {
  isRequestEnd,
  type FleetRequest,
  type FleetRequestKind,
  type FleetRequestPhase,
} from '../../protocol/controller/fleet-request.ts';
import type { FleetRequestPlan } from '../../protocol/controller/fleet-requests.ts';
import { formatBytes, formatDuration } from '../../protocol/quantity.ts';
import type { Api } from '../../rpc/client.ts';
import { controllerNamed } from '../connection/controller-place.ts';
import { withController } from '../connection/fleet-lists.ts';
import type { Context, ConnectionFlags } from '../context.ts';
import { printable } from '../../words/style.ts';
import { renderTable, type Look } from '../../words/table.ts';

export type ControllerApi = Api<typeof controllerContract>;

/** GODWIT_USAGE without a controller. */
export function atController<T>(
  connection: ConnectionFlags,
  { env }: Context,
  work: (api: ControllerApi) => Promise<T>,
): Promise<T> {
  const where = controllerNamed(connection, env);
  if (where !== undefined) return withController(where, connection, env, work);
  const hint =
    'Name it with --controller, in a context or in GODWIT_CONTROLLER. docs/fleet.md says how to start one.';
  throw godwitError('GODWIT_USAGE', { what: 'no controller is named' }, { hint });
}

export function newRequestId(): string {
  return `r-${randomBytes(6).toString('hex')}`;
}

export function planText(plan: FleetRequestPlan, look: Look): string {
  const { steps, parallel, seconds, stays, waiting, late, blind, line, fromHistory = [] } = plan;
  const { maintenanceMode } = plan;
  const table = line === undefined ? movesTable(steps, late, look) : lineTable(steps, look);
  const moves = `${steps.length} ${steps.length === 1 ? 'move' : 'moves'}`;
  return [
    steps.length === 0 ? '' : table,
    steps.length === 0
      ? 'nothing to move now\n'
      : `${moves}, ${parallel} at a time, about ${formatDuration(seconds * 1000)} by prediction\n`,
    maintenanceMode === undefined ? '' : modeText(maintenanceMode),
    ...fromHistory.map((words) => `from history: ${printable(words)}\n`),
    line === undefined ? '' : lineText(line),
    ...waiting.map(({ guest, words }) => `waits: ${guest}: ${printable(words)}\n`),
    ...stays.map(({ guest, host, words }) => `stays: ${guest} on ${host}: ${printable(words)}\n`),
    ...blind.map((words) => `not known: ${printable(words)}\n`),
  ].join('');
}

function modeText({
  host,
  moves,
  words,
}: NonNullable<FleetRequestPlan['maintenanceMode']>): string {
  const who =
    moves === 'manager'
      ? `${words} moves its guests, and chooses where to`
      : `the moves are planned by Godwit: ${words}`;
  return `${host} enters maintenance mode: ${printable(who)}\n`;
}

type Steps = FleetRequestPlan['steps'];

function movesTable(steps: Steps, late: readonly string[], look: Look): string {
  const rows = steps.map(({ guest, from, to, seconds, how }) => [
    guest,
    `${from} → ${to}`,
    formatDuration(seconds * 1000),
    [
      ...(how === 'cold' ? ['cold: shut down, and started there'] : []),
      ...(late.includes(guest) ? ['after the deadline'] : []),
    ].join(', '),
  ]);
  return renderTable(['GUEST', 'MOVE', 'TAKES', 'NOTE'], rows, look);
}

const WAYS = {
  precopy: 'pre-copy',
  postcopy: 'post-copy',
  pause: 'with a pause',
  cold: 'cold',
} as const;

function lineTable(steps: Steps, look: Look): string {
  const rows = steps.map(({ guest, from, to, seconds, how, bytes, startsInSeconds = 0 }) => [
    guest,
    `${from} → ${to}`,
    how === undefined ? '' : WAYS[how],
    `in ${formatDuration(startsInSeconds * 1000)}`,
    formatDuration(seconds * 1000),
    bytes === undefined ? '' : formatBytes(bytes),
  ]);
  return renderTable(['GUEST', 'MOVE', 'HOW', 'BEGINS', 'TAKES', 'SENDS'], rows, look);
}

function lineText({ bytes, budgetBytes, bytesPerS, roundTripMs, cost, measured }: Line): string {
  const of = budgetBytes === undefined ? '' : ` of a budget of ${formatBytes(budgetBytes)}`;
  const price = cost === 0 ? '' : `, which cost ${cost.toFixed(2)}`;
  return `sends ${formatBytes(bytes)}${of} over ${formatBytes(bytesPerS)}/s, round trip ${formatDuration(roundTripMs)}${price}\n${measuredText(measured)}`;
}

function measuredText(measured: Line['measured']): string {
  if (measured === undefined) return '';
  const { bytesPerS, roundTripMs, by } = measured;
  return `predicted by what ${by.join(', ')} measured: ${formatBytes(bytesPerS)}/s, round trip ${formatDuration(roundTripMs)}\n`;
}

type Line = NonNullable<FleetRequestPlan['line']>;

/** A request's state, with a line for each thing that may need action. */
export function requestText({ id, ask, phase, words, queue, stays, moved }: FleetRequest): string {
  const subject = ask.guest ?? ask.hosts.join(', ');
  return [
    `${id}: ${ask.kind} of ${printable(subject)}: ${phase}, ${moved} moved: ${printable(words)}\n`,
    ...queue.map((each) => `waits: ${each.guest}: ${printable(each.words)}\n`),
    ...stays.map((each) => `stays: ${each.guest} on ${each.host}: ${printable(each.words)}\n`),
  ].join('');
}

export function exitOfRequest(phase: FleetRequestPhase): number {
  if (phase === 'left') return ERRORS.GODWIT_STEP_FAILED.exit;
  return phase === 'cancelled' ? ERRORS.GODWIT_CANCELLED.exit : 0;
}

/**
 * The open request of that kind with these hosts. GODWIT_REQUEST_ENDED if the last one has ended,
 * GODWIT_REQUEST_UNKNOWN without one, GODWIT_USAGE if there are several.
 */
export async function openRequest(
  api: ControllerApi,
  kind: FleetRequestKind,
  hosts: readonly string[],
): Promise<FleetRequest> {
  const { requests } = await api.requests();
  const asked = requests.filter(
    ({ ask }) => ask.kind === kind && hosts.every((host) => ask.hosts.includes(host)),
  );
  const open = asked.filter(({ phase }) => !isRequestEnd(phase));
  const [first, second] = open;
  if (first === undefined && asked[0] !== undefined) throw ended(asked[0]);
  const of = hosts.length === 0 ? '' : ` for ${hosts.join(', ')}`;
  if (first === undefined)
    throw godwitError('GODWIT_REQUEST_UNKNOWN', { request: `of kind ${kind}${of}` });
  if (second === undefined) return first;
  const what = `${open.length} of kind ${kind} are open`;
  throw godwitError('GODWIT_USAGE', { what }, { hint: 'Name hosts of the one that is meant.' });
}

export function ended({ id, ask, phase }: FleetRequest): GodwitError {
  const facts = { request: id, kind: ask.kind, subject: ask.guest ?? ask.hosts.join(', '), phase };
  return godwitError('GODWIT_REQUEST_ENDED', facts);
}

/** Asks for confirmation. GODWIT_USAGE without a terminal or after a "no". */
export async function mustConfirm(question: string, context: Context): Promise<void> {
  const { readLine } = context;
  if (readLine === undefined) {
    const what = 'there is no terminal for the confirmation';
    throw godwitError(
      'GODWIT_USAGE',
      { what },
      { hint: 'Give --yes, or --dry-run to see the plan alone.' },
    );
  }
  context.out.write(`${question} [y/N] `);
  const ended = new AbortController();
  const stop = context.onInterrupt(() => ended.abort());
  const answer = await readLine(ended.signal).finally(stop);
  if (/^y(es)?$/i.test(answer?.trim() ?? '')) return;
  throw godwitError(
    'GODWIT_USAGE',
    { what: 'nothing was begun' },
    { hint: 'Answer y, or give --yes.' },
  );
}
