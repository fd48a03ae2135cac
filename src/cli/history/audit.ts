import type { AuditEntry } from '../../protocol/controller/audit.ts';
import { MAX_PER_PAGE } from '../../protocol/public/page.ts';
import { formatMoment } from '../../protocol/quantity.ts';
import { printJson } from '../context.ts';
import { listLook } from '../lists.ts';
import { printable } from '../../words/style.ts';
import { renderTable } from '../../words/table.ts';
import type { auditSpec } from './specs.ts';
import type { Run } from '../verb.ts';
import { atController } from '../fleet/at-controller.ts';

export const run: Run<typeof auditSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { since, who, what, limit = 50 } = input.flags;
    const begunMs = since === undefined ? undefined : context.clock.wallMs() - since;
    const query = {
      who,
      what,
      limit: Math.min(MAX_PER_PAGE, Math.max(1, limit)),
      ...(begunMs === undefined ? {} : { since: new Date(Math.max(0, begunMs)).toISOString() }),
    };
    const { entries, next } = await api.audit({ query });
    if (input.json) return printJson(context, { entries, ...(next && { next }) });
    const head = ['WHEN', 'WHO', 'BY', 'FROM', 'WHAT', 'RESULT', 'ARGUMENTS'];
    const rows = entries.map(rowOf);
    context.out.write(
      rows.length === 0 ? 'no entries\n' : renderTable(head, rows, listLook(context, {})),
    );
    if (next !== undefined) context.out.write('older ones are not shown: --limit shows more\n');
  });

function rowOf({ at, who, role, by, from, what, result, unkept, ...rest }: AuditEntry): string[] {
  const more = unkept === undefined ? '' : `; ${unkept} refused before it are not kept`;
  return [
    formatMoment(at),
    printable(who),
    `${by} (${role})`,
    from ?? 'this host',
    what,
    `${result ?? 'no end is known'}${more}`,
    printable(rest.arguments ?? '-'),
  ];
}
