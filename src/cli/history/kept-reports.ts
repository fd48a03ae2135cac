import { godwitError } from '../../errors.ts';
import type { controllerContract } from '../../protocol/controller/contract.ts';
import type { Distribution, FleetMigration } from '../../protocol/controller/history.ts';
import { migrationId } from '../../protocol/names.ts';
import { MAX_PER_PAGE } from '../../protocol/public/page.ts';
import type { Report } from '../../protocol/public/migration.ts';
import { formatBytes, formatDuration, formatMoment } from '../../protocol/quantity.ts';
import type { Api } from '../../rpc/client.ts';
import type { Context } from '../context.ts';
import { printList, widened } from '../lists.ts';
import { printable } from '../../words/style.ts';
import { renderTable } from '../../words/table.ts';
import type { migrationsSpec } from '../migrate/specs.ts';
import type { Input } from '../verb.ts';

type ControllerApi = Api<typeof controllerContract>;

export async function listFleetMigrations(
  api: ControllerApi,
  { flags, json }: Input<typeof migrationsSpec>,
  context: Context,
): Promise<void> {
  const { guest, state, since } = flags;
  const limit = Math.min(MAX_PER_PAGE, Math.max(1, flags.limit ?? 20));
  const begunMs = since === undefined ? undefined : context.clock.wallMs() - since;
  const query = {
    guest,
    limit,
    ...(begunMs === undefined ? {} : { since: new Date(Math.max(0, begunMs)).toISOString() }),
    ...(state === undefined
      ? {}
      : state === 'running'
        ? ({ state: 'open' } as const)
        : { outcome: state }),
  };
  const { migrations } = await api.migrations({ query });
  const names = migrations.map(({ id }) => id);
  printList(context, { json, flags }, { answer: { migrations }, names }, (look) => {
    const head = widened(
      ['ID', 'GUEST', 'FROM', 'TO', 'STATE', 'STARTED', 'TOOK', 'DOWNTIME', 'NOTE'],
      ['MODE', 'SENT', 'CLIENT GAP', 'FOR', 'BY'],
      look,
    );
    const rows = migrations.map((each) => widened(rowOf(each), furtherOf(each), look));
    context.out.write(rows.length === 0 ? 'no migrations\n' : renderTable(head, rows, look));
  });
}

function rowOf(each: FleetMigration): string[] {
  const { percent, step } = each;
  const open = `${step ?? 'open'}${percent === undefined ? '' : ` ${Math.floor(percent)} %`}`;
  return [
    each.id,
    each.guest,
    each.source,
    each.destination,
    each.outcome ?? open,
    formatMoment(each.startedAt),
    each.totalMs === undefined ? '-' : formatDuration(each.totalMs),
    each.downtimeMs === undefined ? '-' : formatDuration(each.downtimeMs),
    printable(each.words ?? (each.request === undefined ? '' : `for ${each.request}`)),
  ];
}

function furtherOf({
  mode,
  bytes,
  clientGapMs,
  request,
  by,
}: FleetMigration): (string | undefined)[] {
  return [
    mode,
    bytes === undefined ? undefined : formatBytes(bytes),
    clientGapMs === undefined ? undefined : formatDuration(clientGapMs),
    request,
    by,
  ];
}

/** The controller's copy. GODWIT_MIGRATION_UNKNOWN without a migration of that id or its report. */
export async function keptReport(api: ControllerApi, id: string): Promise<Report> {
  if (!migrationId.safeParse(id).success) {
    const facts = { id: printable(id.slice(0, 80)), host: 'any host that is followed' };
    throw godwitError('GODWIT_MIGRATION_UNKNOWN', facts);
  }
  const { report, withoutReport } = await api.migration({ params: { id } });
  if (report !== undefined) return report;
  const hint = withoutReport === undefined ? {} : { hint: `There is no report: ${withoutReport}.` };
  throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id, host: 'the controller' }, hint);
}

export const SPREAD = ['COUNT', 'MEDIAN', 'P90', 'P99', 'MAX'];

export function spreadRow(of: Distribution, format: (amount: number) => string): string[] {
  const at = (share: number): string =>
    format(of.quantiles.find((each) => each.share === share)?.amount ?? of.most);
  return [String(of.count), at(0.5), at(0.9), at(0.99), format(of.most)];
}
