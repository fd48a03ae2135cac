import { createInterface } from 'node:readline/promises';
import { godwitError } from '../../errors.ts';
import type { Resolution, RunAt } from '../../protocol/public/resolve.ts';
import { isEnd } from '../../protocol/public/migration.ts';
import { printJson, type Context } from '../context.ts';
import { finalReport, printEnding } from './ending.ts';
import { findMigration } from './fleet-migrations.ts';
import { contextPainter, printView } from '../render/paint.ts';
import { resolutionText } from '../../words/resolution.ts';
import type { resolveSpec } from './specs.ts';
import type { Run } from '../verb.ts';

/** The agent asks the other host, then the whole fleet; one that is dark takes all the time that it is given, ms. */
const LOOK_MS = 30_000;
/** The agent may ask a fencing hook before it answers, ms. */
const RESOLVE_MS = 150_000;
/** From a journaled order until the migration stands where it was to go, ms. */
const FOLLOW_MS = 300_000;

type FinalReport = Parameters<typeof printEnding>[1];

export const run: Run<typeof resolveSpec> = async (input, context) => {
  const fleet = await context.connect(input.connection);
  try {
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
    const confirm = input.flags.confirm ?? (await typedName(context, known, runAt));
    const iKnow = input.flags.yesIKnow === true;
    // What was shown above is answered for, and nothing that changes meanwhile.
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
    // It went where it was to go: that the migration as such did not succeed is no failure of this command.
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

/** A decision that can cost a guest is typed, not clicked through. */
async function typedName(
  context: Context,
  { guest, id }: Resolution,
  runAt: RunAt,
): Promise<string> {
  if (!process.stdin.isTTY || !context.err.isTerminal) {
    throw godwitError(
      'GODWIT_USAGE',
      { what: `to resolve ${id} the guest's name has to be typed, and this is no terminal` },
      { hint: `Say it with --confirm ${guest}.` },
    );
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const to = runAt === 'elsewhere' ? 'end its copy at the source' : `run it at the ${runAt}`;
    return (await lines.question(`Type the guest's name to ${to}: `)).trim();
  } finally {
    lines.close();
  }
}
