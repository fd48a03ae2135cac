import type { Policy } from '../../protocol/controller/policy.ts';
import { printJson } from '../context.ts';
import { listLook } from '../lists.ts';
import { printable } from '../../words/style.ts';
import { renderTable } from '../../words/table.ts';
import type { listSpec } from './policy-specs.ts';
import type { Run } from '../verb.ts';
import { atController } from './at-controller.ts';

export const run: Run<typeof listSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { policies } = await api.policies();
    if (input.json) return printJson(context, { policies });
    const head = ['POLICY', 'OF', 'MODE', 'SET BY', 'WHAT IT SAW LAST'];
    context.out.write(renderTable(head, policies.map(policyRow), listLook(context, {})));
  });

const policyRow = ({ kind, scope, mode, setBy, look }: Policy): string[] => [
  kind,
  scope,
  mode,
  printable(setBy),
  look === undefined ? 'it has not looked yet' : printable(look.words),
];
