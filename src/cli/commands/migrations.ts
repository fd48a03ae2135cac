import type { MigrationSummary, Phase } from '../../protocol/public/migration.ts';
import { formatDuration } from '../../protocol/quantity.ts';
import { printJson } from '../context.ts';
import type { Context } from '../context.ts';
import { incomplete } from '../agent-set.ts';
import { sayIncomplete } from '../failure.ts';
import { listMigrations } from '../fleet-migrations.ts';
import { tableLook } from '../render/paint.ts';
import type { Painter } from '../render/style.ts';
import { renderTable } from '../render/table.ts';
import type { migrationsSpec } from '../specs.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof migrationsSpec> = async (input, context) => {
  const fleet = await context.connect(input.connection);
  try {
    const limit = Math.min(1000, Math.max(1, input.flags.limit ?? 20));
    const { items: migrations, missing } = await listMigrations(fleet, limit);
    const lacks = incomplete('the list of migrations', missing);
    if (input.json) printJson(context, { migrations, missing });
    else printMigrations(context, migrations, lacks !== undefined);
    return lacks === undefined ? 0 : sayIncomplete(context, lacks);
  } finally {
    fleet.close();
  }
};

function printMigrations(
  context: Context,
  migrations: readonly MigrationSummary[],
  isPart: boolean,
): void {
  if (migrations.length === 0) {
    const where = isPart ? ' on the hosts that answered' : '';
    return context.out.write(`no migrations${where}\n`);
  }
  const look = tableLook(context);
  context.out.write(
    renderTable(
      ['ID', 'GUEST', 'FROM', 'TO', 'MODE', 'PHASE', 'STARTED', 'TOOK', 'NOTE'],
      migrations.map((each) => row(each, look.paint)),
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
    each.startedAt.replace('T', ' ').replace(/\.\d+Z$/, 'Z'),
    formatDuration(each.elapsedMs),
    each.error?.message ?? each.note ?? '',
  ];
}

function phaseColor(phase: Phase, paint: Painter): string {
  if (phase === 'done') return paint.green(phase);
  if (phase === 'failed' || phase === 'held' || phase === 'lost') return paint.red(phase);
  return phase === 'cancelled' ? paint.yellow(phase) : paint.cyan(phase);
}
