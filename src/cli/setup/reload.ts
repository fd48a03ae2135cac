import { godwitError } from '../../errors.ts';
import type { ReloadAnswer } from '../../protocol/public/reload.ts';
import { printJson } from '../context.ts';
import { printable } from '../../words/style.ts';
import type { reloadSpec } from './specs.ts';
import type { Run } from '../verb.ts';

/** The agent checks everything that the configuration names. */
const RELOAD_MS = 60_000;

export const run: Run<typeof reloadSpec> = async (input, context) => {
  const { dryRun = false } = input.flags;
  const fleet = await context.connect(input.connection);
  try {
    const [{ api }, ...others] = fleet.endpoints;
    if (others.length > 0) {
      const facts = { what: 'a lab has several agents; which one?' };
      throw godwitError('GODWIT_USAGE', facts, { hint: 'Name its host with --host.' });
    }
    const query = { dryRun: dryRun ? 'true' : 'false' } as const;
    const answer = await api.reload({ query }, { deadlineMs: RELOAD_MS });
    if (input.json) printJson(context, answer);
    else context.out.write(reloadText(answer, dryRun));
  } finally {
    fleet.close();
  }
};

function reloadText({ file, taken, restart, warnings }: ReloadAnswer, dryRun: boolean): string {
  const lines = [
    ...taken.map((setting) => `${dryRun ? 'would be taken' : 'taken'}: ${setting}`),
    ...restart.map((setting) => `needs a restart of the agent: ${setting}`),
    ...warnings.flatMap(({ what, hint }) => [`warning: ${what}`, `  ${hint}`]),
  ];
  if (taken.length + restart.length === 0) lines.unshift(`${file}: nothing has changed`);
  return lines.map((line) => `${printable(line)}\n`).join('');
}
