import type { MigrationSummary, Phase } from '../../protocol/public/migration.ts';
import { formatDuration } from '../../protocol/quantity.ts';
import { printJson } from '../context.ts';
import { listMigrations } from '../agent-set.ts';
import { tableLook } from '../render/paint.ts';
import type { Painter } from '../render/style.ts';
import { renderTable } from '../render/table.ts';
import type { migrationsSpec } from '../specs.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof migrationsSpec> = async (input, context) => {
  const fleet = await context.connect(input.connection);
  try {
    const limit = Math.min(1000, Math.max(1, input.flags.limit ?? 20));
    const migrations = (await listMigrations(fleet, limit)).map(({ summary }) => summary);
    if (input.json) return printJson(context, { migrations });
    if (migrations.length === 0) return context.out.write('no migrations\n');
    const look = tableLook(context);
    context.out.write(
      renderTable(
        ['ID', 'GUEST', 'FROM', 'TO', 'MODE', 'PHASE', 'STARTED', 'TOOK', 'NOTE'],
        migrations.map((each) => row(each, look.paint)),
        look,
      ),
    );
  } finally {
    fleet.close();
  }
};

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
