import type { Finding } from '../doctor/facts.ts';
import { printable, type Painter } from '../../words/style.ts';

/** One line per finding with its hint below, then a summary. */
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
