import type { GuestStay } from '../../protocol/controller/history.ts';
import { formatMoment } from '../../protocol/quantity.ts';
import { printJson } from '../context.ts';
import { listLook } from '../lists.ts';
import { printable } from '../../words/style.ts';
import { renderTable } from '../../words/table.ts';
import type { historySpec } from './specs.ts';
import type { Run } from '../verb.ts';
import { atController } from '../fleet/at-controller.ts';

export const run: Run<typeof historySpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { guest } = input.args;
    const answer = await api.guestHistory({ params: { guest } });
    if (input.json) return printJson(context, answer);
    const rows = answer.stays.flatMap(rowsOf);
    const head = ['HOST', 'FROM', 'TO', 'WHY'];
    context.out.write(renderTable(head, rows, listLook(context, {})));
    if (answer.isPart) context.out.write('earlier ones are not shown\n');
  });

function rowsOf({ host, from, to, why, by, tries }: GuestStay): string[][] {
  const whose = by === undefined ? '' : `, asked for by ${printable(by)}`;
  return [
    [host, shown(from) ?? '-', shown(to) ?? 'now', `${printable(why)}${whose}`],
    ...tries.map(({ migration, to: where, outcome, at, words }) => {
      const reason = words === undefined ? '' : `: ${printable(words)}`;
      return ['', shown(at) ?? '', '', `${migration} to ${where}: ${outcome}${reason}`];
    }),
  ];
}

const shown = (moment: string | undefined): string | undefined =>
  moment === undefined ? undefined : formatMoment(moment);
