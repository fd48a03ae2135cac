import type { MigrationRequest } from '../../protocol/public/migration.ts';
import { godwitError } from '../../errors.ts';
import { strategyNamed } from '../../protocol/public/steering.ts';
import { printJson, type Context } from '../context.ts';
import { finalReport, printEnding } from './ending.ts';
import { exitOfSignal, leftWords } from '../interrupts.ts';
import type { Endpoint, AgentSet } from '../connection/agent-set.ts';
import { follow } from './follow.ts';
import { askAtHome } from '../guests/home.ts';
import { mustKnow } from './agent-knows.ts';
import { ANY, mustHaveTo, requestOf, withNearestHost } from './migration-request.ts';
import { warningLines } from '../../words/checks.ts';
import { contextPainter } from '../render/paint.ts';
import type { migrateSpec } from './specs.ts';
import type { Input, Run } from '../verb.ts';

export const run: Run<typeof migrateSpec> = async (input, context) => {
  if (input.flags.dryRun === true && input.flags.rehearse === true) {
    const what = '--dry-run and --rehearse are both given';
    const hint =
      '--dry-run begins nothing; --rehearse does everything up to the switch, and undoes it.';
    throw godwitError('GODWIT_USAGE', { what }, { hint });
  }
  if (input.flags.dryRun === true) return (await import('./preview.ts')).preview(input, context);
  mustPreview(input.flags);
  const to = mustHaveTo(input.flags.to);
  // Parsed before any agent is called, so that a bad line is refused first.
  const request = { ...requestOf(input, to), ...rehearsalOf(input) };
  const fleet = await context.connect(input.connection);
  try {
    const start = (asked: Endpoint): Promise<StartedMigration> => startAt(fleet, asked, request);
    const { id, endpoint } = await askAtHome(fleet, request.guest, start, to);
    if (input.flags.detach === true) return sayDetached(context, id, input.json);
    return await followToEnd(context, endpoint, id, input.json);
  } finally {
    fleet.close();
  }
};

function rehearsalOf({ flags }: Input<typeof migrateSpec>): Pick<MigrationRequest, 'rehearse'> {
  return flags.rehearse === true ? { rehearse: true } : {};
}

function mustPreview({ to, compare }: Input<typeof migrateSpec>['flags']): void {
  const only = to === ANY ? '--to any' : compare === true ? '--compare' : undefined;
  if (only === undefined) return;
  throw godwitError(
    'GODWIT_USAGE',
    { what: `${only} goes with --dry-run` },
    { hint: 'Add --dry-run for a preview, or name one host.' },
  );
}

/** Longer than the agent's own deadline, ms. */
const PLAN_MS = 120_000;
/** Longer than the agent needs to look at the guest and the link, and to give its mover 28 s to serve, ms. */
const BEGIN_MS = 60_000;

interface StartedMigration {
  readonly id: string;
  readonly endpoint: Endpoint;
}

async function startAt(
  fleet: AgentSet,
  endpoint: Endpoint,
  body: MigrationRequest,
): Promise<StartedMigration> {
  await mustKnow(endpoint, body);
  await withinItsLimits(fleet, endpoint, body);
  const { id } = await withNearestHost(fleet, body.to, () =>
    endpoint.api.migrate({ body }, { deadlineMs: BEGIN_MS }),
  );
  return { id, endpoint };
}

/**
 * A migration with binding limits (from its strategy, or a window) is planned first, and refused with the calculation
 * if they cannot be kept.
 */
async function withinItsLimits(
  fleet: AgentSet,
  { api }: Endpoint,
  body: MigrationRequest,
): Promise<void> {
  const { steering, notBefore, whenQuiet, deadlineAt } = body;
  const waits = notBefore !== undefined || whenQuiet !== undefined;
  const hasWindow = waits && deadlineAt !== undefined;
  const mustKeepTo = steering !== undefined && strategyNamed(steering).mustHaveLimits;
  if (!hasWindow && !mustKeepTo) return;
  await withNearestHost(fleet, body.to, () => api.plan({ body }, { deadlineMs: PLAN_MS }));
}

async function warnings(context: Context, { api }: Endpoint, id: string): Promise<string[]> {
  const { checks } = await api.report({ params: { id } });
  return warningLines(checks, contextPainter(context));
}

function sayDetached(context: Context, id: string, json: boolean): void {
  if (json) printJson(context, { id });
  else context.out.write(`${id}\n`);
  context.err.write(`The migration goes on by itself; \`godwit watch ${id}\` follows it.\n`);
}

async function followToEnd(
  context: Context,
  endpoint: Endpoint,
  id: string,
  json: boolean,
): Promise<number> {
  const last = await follow(context, {
    endpoint,
    id,
    show: json ? 'nothing' : 'people',
    ...(json ? {} : { onChecked: () => warnings(context, endpoint, id) }),
    cancel: async () => (await endpoint.api.cancel({ params: { id } })).what,
  });
  if ('left' in last) {
    if (json) printJson(context, { id });
    context.err.write(leftWords('migration', id, last.isCancelling));
    return exitOfSignal(last.left);
  }
  return printEnding(context, await finalReport(context, endpoint, id), json);
}
