import { isEnd, type MigrationSummary, type Phase } from '../../protocol/public/migration.ts';
import { formatBytes, formatDuration, formatMoment } from '../../protocol/quantity.ts';
import type { Context } from '../context.ts';
import { incomplete } from '../connection/agent-set.ts';
import { sayIncomplete } from '../failure.ts';
import { controllerNamed } from '../connection/controller-place.ts';
import { withController } from '../connection/fleet-lists.ts';
import { listFleetMigrations } from '../history/kept-reports.ts';
import { listMigrations } from './fleet-migrations.ts';
import type { Painter } from '../../words/style.ts';
import { renderTable, type Look } from '../../words/table.ts';
import { listing, printList, widened } from '../lists.ts';
import type { migrationsSpec } from './specs.ts';

/** An agent's largest answer; filters apply to it. */
const MAX = 1000;

export const run = listing<typeof migrationsSpec>(async (input, context) => {
  const where = controllerNamed(input.connection, context.env);
  if (where !== undefined) {
    await withController(where, input.connection, context.env, (api) =>
      listFleetMigrations(api, input, context),
    );
    return 0;
  }
  const fleet = await context.connect(input.connection);
  try {
    const limit = Math.min(MAX, Math.max(1, input.flags.limit ?? 20));
    const { guest, state, since } = input.flags;
    const isFiltered = guest !== undefined || state !== undefined || since !== undefined;
    const { items, missing } = await listMigrations(fleet, isFiltered ? MAX : limit);
    const begunMs = context.clock.wallMs() - (since ?? Infinity);
    const migrations = items
      .filter((each) => (guest ?? each.guest) === each.guest)
      .filter(({ phase }) => state === undefined || state === (isEnd(phase) ? phase : 'running'))
      .filter(({ startedAt }) => Date.parse(startedAt) >= begunMs)
      .slice(0, limit);
    const lacks = incomplete('the list of migrations', missing);
    const names = migrations.map(({ id }) => id);
    printList(context, input, { answer: { migrations, missing }, names }, (look) =>
      printMigrations(context, migrations, lacks !== undefined, look),
    );
    return lacks === undefined ? 0 : sayIncomplete(context, lacks);
  } finally {
    fleet.close();
  }
});

function printMigrations(
  context: Context,
  migrations: readonly MigrationSummary[],
  isPart: boolean,
  look: Look,
): void {
  if (migrations.length === 0) {
    const where = isPart ? ' on the hosts that answered' : '';
    return context.out.write(`no migrations${where}\n`);
  }
  context.out.write(
    renderTable(
      widened(
        ['ID', 'GUEST', 'FROM', 'TO', 'MODE', 'PHASE', 'STARTED', 'TOOK', 'NOTE'],
        ['DONE', 'SENT', 'REPORTED BY'],
        look,
      ),
      migrations.map((each) =>
        widened(
          row(each, look.paint),
          [
            `${Math.floor(each.percent)} %`,
            each.sample && formatBytes(each.sample.transferredBytes),
            each.side,
          ],
          look,
        ),
      ),
      look,
    ),
  );
}

function row(each: MigrationSummary, paint: Painter): string[] {
  return [
    each.id,
    each.guest,
    each.from,
    each.to,
    each.mode,
    phaseColor(each.phase, paint),
    formatMoment(each.startedAt),
    formatDuration(each.elapsedMs),
    each.error?.message ?? each.note ?? '',
  ];
}

function phaseColor(phase: Phase, paint: Painter): string {
  if (phase === 'done') return paint.green(phase);
  if (phase === 'failed' || phase === 'held' || phase === 'lost') return paint.red(phase);
  return phase === 'cancelled' ? paint.yellow(phase) : paint.cyan(phase);
}
