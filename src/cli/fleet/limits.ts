import { godwitError } from '../../errors.ts';
import {
  limitsChange,
  type FleetLimits,
  type LimitsChange,
} from '../../protocol/controller/limits.ts';
import { printJson } from '../context.ts';
import { listLook } from '../lists.ts';
import { renderTable } from '../../words/table.ts';
import type { limitsSpec } from './specs.ts';
import type { Run } from '../verb.ts';
import { atController } from './at-controller.ts';

export const run: Run<typeof limitsSpec> = (input, context) => {
  const { action, first, second } = input.args;
  const change = action === 'set' ? changeOf(first, second) : undefined;
  return atController(input.connection, context, async (api) => {
    const limits =
      change === undefined ? await api.limits() : await api.setLimits({ body: change });
    if (input.json) return printJson(context, limits);
    const head = ['WHAT', 'OUT', 'IN', 'IN ALL'];
    context.out.write(renderTable(head, rowsOf(limits), listLook(context, {})));
  });
};

function rowsOf({ fleet, out, in: into, hosts, links }: FleetLimits): string[][] {
  return [
    ['the fleet', '', '', String(fleet)],
    ['each host', String(out), String(into), ''],
    ...hosts.map((each) => [each.host, String(each.out ?? out), String(each.in ?? into), '']),
    ...links.map(({ from, to, most }) => [`${from} → ${to}`, '', '', String(most)]),
  ];
}

/** Parses `fleet=100`, `out=4`, `link:a>b=1` or `host:a` with `out=2`. GODWIT_USAGE for anything else. */
function changeOf(first: string | undefined, second: string | undefined): LimitsChange {
  const [, name = '', amount = ''] = /^([^=]+)=(.+)$/.exec(second ?? first ?? '') ?? [];
  const most = amount === 'usual' ? null : /^\d{1,5}$/.test(amount) ? Number(amount) : NaN;
  const host = second === undefined ? undefined : /^host:(.+)$/.exec(first ?? '')?.[1];
  const [, from, to] = /^link:([^>]+)>(.+)$/.exec(name) ?? [];
  const isOfHost = name === 'out' || name === 'in';
  const body =
    second !== undefined
      ? isOfHost && host !== undefined && { hosts: [{ host, [name]: most }] }
      : from !== undefined
        ? { links: [{ from, to, most }] }
        : (isOfHost || name === 'fleet') && { [name]: most };
  const made = limitsChange.safeParse(body);
  if (made.success) return made.data;
  const what = `no limit: ${[first, second]
    .filter((each) => each !== undefined)
    .join(' ')
    .slice(0, 80)}`;
  const hint =
    'Write fleet=100, out=4, in=4, host:a out=2, or link:a>b=1; =usual restores the default.';
  throw godwitError('GODWIT_USAGE', { what }, { hint });
}
