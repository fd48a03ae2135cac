import { ERRORS, godwitError } from '../../errors.ts';
import { printJson } from '../context.ts';
import { collectFacts } from '../doctor/collect.ts';
import type { Finding } from '../doctor/facts.ts';
import { judge, worst } from '../doctor/judge.ts';
import { contextPainter } from '../render/paint.ts';
import { printable } from '../render/style.ts';
import type { Painter } from '../render/style.ts';
import type { doctorSpec } from '../specs.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof doctorSpec> = async (input, context) => {
  const { leftovers: wanted, clear } = input.flags;
  if (clear === true && wanted !== true) {
    const what = '--clear goes with --leftovers';
    throw godwitError('GODWIT_USAGE', { what }, { hint: 'See `godwit doctor --help`.' });
  }
  if (wanted === true) {
    const { leftovers } = await import('./doctor-leftovers.ts');
    return leftovers(context, input.connection, clear === true, input.json);
  }
  const findings = judge(await collectFacts(context, input.connection, input.flags.config));
  const verdict = worst(findings);
  if (input.json) printJson(context, { verdict, checks: findings });
  else context.out.write(doctorText(findings, contextPainter(context)));
  return verdict === 'fail' ? ERRORS.GODWIT_HOST_LACKS.exit : 0;
};

/** One line for each finding, its hint below it, and a last line that sums up. */
export function doctorText(findings: readonly Finding[], paint: Painter): string {
  const marks = { ok: paint.green('ok  '), warn: paint.yellow('warn'), fail: paint.red('fail') };
  const widest = Math.max(0, ...findings.map(({ name }) => name.length));
  const lines = findings.flatMap(({ name, verdict, found, hint }) => {
    const line = `${marks[verdict]}  ${name.padEnd(widest)}  ${printable(found).replaceAll('\n', ' ')}`;
    return hint === undefined ? [line] : [line, `${' '.repeat(widest + 8)}${paint.dim(hint)}`];
  });
  const counts = (['fail', 'warn', 'ok'] as const).map((verdict) => {
    return `${findings.filter((each) => each.verdict === verdict).length} ${verdict}`;
  });
  return `${lines.join('\n')}\n\n${counts.join(', ')}\n`;
}
