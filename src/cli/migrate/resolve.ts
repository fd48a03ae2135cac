import { createInterface } from 'node:readline/promises';
import { godwitError } from '../../errors.ts';
import type { DiskMoveResolution } from '../../protocol/public/disk-move.ts';
import type { RunAt } from '../../protocol/public/resolve.ts';
import { isEnd } from '../../protocol/public/migration.ts';
import { printJson, type Context } from '../context.ts';
import { finalReport, printEnding } from './ending.ts';
import type { AgentSet } from '../connection/agent-set.ts';
import { findDiskMove } from './disk-moves.ts';
import { targetKind } from './target.ts';
import { findMigration } from './fleet-migrations.ts';
import { contextPainter, printView } from '../render/paint.ts';
import { resolutionText } from '../../words/resolution.ts';
import { printable } from '../../words/style.ts';
import type { resolveSpec } from './specs.ts';
import type { Run } from '../verb.ts';

/** The agent queries the other host, then the fleet; a dead host takes the full deadline, ms. */
const LOOK_MS = 30_000;
/** The agent may call a fencing hook first, ms. */
const RESOLVE_MS = 150_000;
/** From a journaled order until the migration has reached its end, ms. */
const FOLLOW_MS = 300_000;

type FinalReport = Parameters<typeof printEnding>[1];

export const run: Run<typeof resolveSpec> = async (input, context) => {
  const fleet = await context.connect(input.connection);
  try {
    if (targetKind(input.args.id) === 'disk') return await resolveDiskMove(fleet, input, context);
    const { summary, endpoint } = await findMigration(fleet, input.args.id);
    const { id } = summary;
    const params = { id };
    const known = await endpoint.api.resolution({ params }, { deadlineMs: LOOK_MS });
    const { runAt } = input.flags;
    if (runAt === undefined) {
      if (input.json) printJson(context, known);
      else printView(context, resolutionText(known, contextPainter(context)));
      return undefined;
    }
    if (!input.json) printView(context, resolutionText(known, contextPainter(context)));
    const to = runAt === 'elsewhere' ? 'end its copy at the source' : `run it at the ${runAt}`;
    const { confirm = await typedName(context, { id, name: known.guest, to }) } = input.flags;
    const iKnow = input.flags.yesIKnow === true;
    const { inDoubt } = known;
    const body = { runAt, confirm, iKnow, ...(iKnow && inDoubt && { answersFor: inDoubt }) };
    const answer = await endpoint.api.resolve({ params, body }, { deadlineMs: RESOLVE_MS });
    if (!input.json) context.out.write(`${answer.what}\n`);
    if (answer.setAside === true) {
      if (input.json) printJson(context, { id, ...answer });
      return undefined;
    }
    const signal = AbortSignal.timeout(FOLLOW_MS);
    for await (const line of endpoint.api.events({ params }, { signal })) {
      if (isEnd(line.phase)) break;
    }
    const report = await finalReport(context, endpoint, id);
    if (input.json) {
      printJson(context, { id, ...answer, report });
      return isThere(report, runAt) ? 0 : printedExit(context, report);
    }
    const exit = printEnding(context, report, false);
    // The guest is where it was ordered; the migration's own failure does not count.
    return isThere(report, runAt) ? 0 : exit;
  } finally {
    fleet.close();
  }
};

function isThere({ runsAt, error }: FinalReport, runAt: RunAt): boolean {
  return runAt === 'elsewhere' ? error?.code === 'GODWIT_RUNS_ELSEWHERE' : runsAt === runAt;
}

function printedExit(context: Context, report: FinalReport): number {
  const silent = { ...context, out: { ...context.out, write: () => {} } };
  return printEnding(silent, report, false);
}

/** A held disk move: `source` is the old image, `destination` the new one. */
async function resolveDiskMove(
  fleet: AgentSet,
  { args: { id }, flags, json }: Parameters<typeof run>[0],
  context: Context,
): Promise<undefined> {
  const { api } = await findDiskMove(fleet, id);
  const params = { id };
  const known = await api.diskMoveResolution({ params }, { deadlineMs: LOOK_MS });
  const { runAt } = flags;
  if (!json) printView(context, heldMoveText(known));
  else if (runAt === undefined) printJson(context, known);
  if (runAt === undefined) return;
  if (runAt === 'elsewhere') {
    const what = 'a disk move stays on its host: --run-at elsewhere does not apply to it';
    throw godwitError('GODWIT_USAGE', { what }, { hint: 'Choose source or destination.' });
  }
  const image = runAt === 'source' ? 'old' : 'new';
  const to = `answer that its disk is the ${image} image`;
  const { confirm = await typedName(context, { id, name: known.confirm, to }) } = flags;
  const body = { runAt, confirm, iKnow: flags.yesIKnow === true };
  const answer = await api.resolveDiskMove({ params, body }, { deadlineMs: LOOK_MS });
  if (json) printJson(context, { id, ...answer });
  else context.out.write(`${printable(answer.what)}\n`);
}

function heldMoveText(known: DiskMoveResolution): string {
  const { id, host, guest, disk, from, to, error, answers } = known;
  const subject = guest === undefined ? 'an unknown disk' : `${disk ?? 'a disk'} of ${guest}`;
  const lines = [
    `${id}: a move of ${subject} on ${host} is held`,
    `  ${error.message}`,
    ...(from === undefined ? [] : [`  old image (source): ${from}`]),
    ...(to === undefined ? [] : [`  new image (destination): ${to}`]),
    ...answers.map(({ runAt, verdict, why }) => `--run-at ${runAt}: ${verdict}; ${why}`),
  ];
  return `${lines.map((line) => printable(line)).join('\n')}\n`;
}

interface Confirmation {
  readonly id: string;
  readonly name: string;
  readonly to: string;
}

/** A decision that can cost a guest requires typing its name. */
async function typedName(context: Context, { id, name, to }: Confirmation): Promise<string> {
  if (!process.stdin.isTTY || !context.err.isTerminal) {
    throw godwitError(
      'GODWIT_USAGE',
      { what: `to resolve ${id} the guest's name has to be typed, and this is no terminal` },
      { hint: `Say it with --confirm ${name}.` },
    );
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (
      await lines.question(`Type ${name === id ? 'the id' : "the guest's name"} to ${to}: `)
    ).trim();
  } finally {
    lines.close();
  }
}
