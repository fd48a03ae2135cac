/** The demo's table and its closing words. Pure. */
import type { Painter } from '../src/words/style.ts';
import { renderTable, type Look } from '../src/words/table.ts';
import type { LabGuest } from '../lab/guest/registry.ts';
import type { ClientView } from '../lab/probe/probe.ts';
import type { StreamMode } from '../src/protocol/public/migration.ts';
import { formatBytes, formatDuration, formatRate } from '../src/protocol/quantity.ts';
import { isFine, isSkipped, type MoveResult, type Outcome } from './outcome.ts';

const MODE_WORDS: Record<StreamMode, string> = {
  precopy: 'pre-copy',
  postcopy: 'post-copy',
  hybrid: 'hybrid',
};

/** A mode as the field writes it. */
export function modeWords(mode: StreamMode): string {
  return MODE_WORDS[mode];
}

const HEAD = [
  'MODE',
  'MOVE',
  'TOTAL',
  'DOWNTIME',
  'CLIENT GAP',
  'SENT',
  'ROUNDS',
  'THROUGHPUT',
  'CONNECTION',
  'MEMORY',
];

/** A row for each mode, and below it why a mode was left out or what went wrong. */
export function resultTable(outcomes: readonly Outcome[], look: Look): string {
  const rows = outcomes.map((outcome) => row(outcome, look.paint));
  const notes = outcomes.flatMap((outcome) => notesOf(outcome, look.paint));
  const below = notes.length === 0 ? '' : `\n${notes.join('\n')}\n`;
  return `${renderTable(HEAD, rows, look)}${below}`;
}

function row(outcome: Outcome, paint: Painter): string[] {
  const mode = modeWords(outcome.mode);
  if (isSkipped(outcome)) return [mode, paint.yellow('left out'), ...HEAD.slice(2).map(() => '-')];
  const { totalMs, downtimeMs, clientGapMs, bytes, rounds, throughput } = outcome;
  return [
    mode,
    `${outcome.from} → ${outcome.to}`,
    or(totalMs, formatDuration),
    or(downtimeMs, formatDuration),
    or(clientGapMs, formatDuration),
    or(bytes, formatBytes),
    or(rounds, String),
    or(throughput, formatRate),
    outcome.connectionKept ? paint.green('kept') : paint.red('BROKEN'),
    outcome.memoryVerified ? paint.green('verified') : paint.red('NOT VERIFIED'),
  ];
}

function or(value: number | undefined, format: (value: number) => string): string {
  return value === undefined ? '-' : format(value);
}

function notesOf(outcome: Outcome, paint: Painter): string[] {
  const mode = modeWords(outcome.mode);
  if (isSkipped(outcome)) return [`${mode} was left out: ${outcome.skipped}`];
  const problems = outcome.problems.map((problem) => `${paint.red('✘')} ${mode}: ${problem}`);
  if (outcome.error !== undefined) problems.push(`  ${paint.dim(outcome.error.hint)}`);
  return problems;
}

/** What one move came to, on one line. */
export function moveLine(result: MoveResult, paint: Painter): string {
  const move = `${result.from} → ${result.to}`;
  if (!isFine(result)) {
    return `${paint.red('✘')} ${move}: ${result.problems.join('; ') || result.outcome}`;
  }
  const via =
    result.mode === 'hybrid' ? `, finished by ${modeWords(viaMode(result.finished))}` : '';
  const parts = [
    `moved in ${or(result.totalMs, formatDuration)}${via}`,
    `the client's longest wait was ${or(result.clientGapMs, formatDuration)}`,
    'connection kept',
    'memory verified',
  ];
  return `${paint.green('✔')} ${move}: ${parts.join(', ')}`;
}

function viaMode(finished: MoveResult['finished']): StreamMode {
  return finished === 'postcopy' ? 'postcopy' : 'precopy';
}

/** The guest in a line. */
export function guestLine(guest: LabGuest): string {
  const { staticBytes, dirtyBytes, dirtyBytesPerSecond, accelerator } = guest;
  const kind =
    accelerator === 'none'
      ? 'a container of runc'
      : `QEMU ${guest.qemuVersion}, ${guest.machineType}, ${accelerator}`;
  const dirty =
    dirtyBytesPerSecond === 0
      ? 'none of it rewritten'
      : `${formatBytes(dirtyBytes)} of it rewritten at ${formatRate(dirtyBytesPerSecond)}`;
  return (
    `${guest.name} on ${guest.startedOn}, ${formatBytes(guest.memoryBytes)}, ` +
    `${formatBytes(staticBytes + dirtyBytes)} checksummed, ${dirty} ` +
    `(${kind})`
  );
}

/** A word of warning where the guest's QEMU is known to damage what it moves. */
export function guestWarning({ accelerator, qemuVersion }: LabGuest): string | undefined {
  const major = Number(qemuVersion.split('.')[0]);
  if (accelerator !== 'tcg' || major >= 9) return undefined;
  return (
    `QEMU ${qemuVersion} without KVM loses a changed page now and then while it moves a guest ` +
    '(fixed in QEMU 9.0): the guest may be found damaged, whoever moves it.'
  );
}

/** What the one connection came through, from its first line to its last. */
export function clientLine(client: ClientView, oneConnection: boolean): string {
  const count = client.received.toLocaleString('en');
  const intact = oneConnection && client.connected && client.lost === 0 && client.doubled === 0;
  return intact
    ? `One TCP connection throughout: ${count} answers in their order, none lost, none doubled.`
    : `The client's connection did not come through: ${client.reason ?? `${client.lost} answers lost, ${client.doubled} doubled`}.`;
}

/** With --keep: commands that work on the lab as it stands. */
export function nextSteps(lab: string, guest: LabGuest, host: string | undefined): string {
  const to = host === 'a' ? 'b' : 'a';
  const { name } = guest;
  const mode = guest.accelerator === 'none' ? '' : ' --mode hybrid';
  const steps: [string, string][] = [
    [`export GODWIT_LAB=${lab}`, 'the commands below mean this lab'],
    ['./godwit lab status', 'hosts, guests and the client'],
    [`./godwit migrate ${name} --to ${to}${mode}`, 'move it once more'],
    [`./godwit lab client ${name}`, 'what the client saw since the last look'],
    [`./godwit lab verify ${name}`, 'have the guest check its memory'],
    ['./godwit migrations', 'every move so far; then: ./godwit report ID'],
    ['./godwit lab down', 'take it all down'],
  ];
  const widest = Math.max(...steps.map(([command]) => command.length));
  const lines = steps.map(([command, why]) => `  ${command.padEnd(widest)}   # ${why}`);
  return `The lab is still up. To go on by hand:\n${lines.join('\n')}\n`;
}
