import type { CheckAnswer, CheckedHost } from '../protocol/public/check.ts';
import type { Check } from '../protocol/public/migration.ts';
import { printable, printableCell, type Painter } from './style.ts';
import { renderTable, type Look } from './table.ts';

/** Replaces the verdict: a check that was not tried has not passed. */
export const NOT_TRIED = '-';
const VERDICTS = { pass: 'ok', warn: 'warn', refuse: 'refuse' } as const;

export function verdictOf({ verdict, notTried }: Check): string {
  return notTried === true ? NOT_TRIED : VERDICTS[verdict];
}

function marks(paint: Painter): Readonly<Record<Check['verdict'], string>> {
  return {
    pass: paint.green('ok    '),
    warn: paint.yellow('warn  '),
    refuse: paint.red('refuse'),
  };
}

export function checkLine(check: Check, paint: Painter): string {
  const { name, side, verdict, evidence, hint = check.error?.hint } = check;
  const more = hint === undefined ? '' : `\n        ${paint.dim(printableCell(hint))}`;
  const mark = check.notTried === true ? paint.dim(NOT_TRIED.padEnd(6)) : marks(paint)[verdict];
  return `${mark}  ${printableCell(name)} (${side}): ${printableCell(evidence)}${more}\n`;
}

/** A migration's warnings, one per line with their remedies. */
export function warningLines(checks: readonly Check[], paint: Painter): string[] {
  const warnings = checks.filter(({ verdict }) => verdict === 'warn');
  return warnings.map((each) => checkLine(each, paint).trimEnd());
}

export function checkText(answer: CheckAnswer, host: CheckedHost, paint: Painter): string {
  const lines = host.checks.map((each) => checkLine(each, paint)).join('');
  const route = `${printable(answer.guest)} from ${answer.from} to ${host.to}`;
  const [refused, warned] = [countOf(host, 'refuse'), countOf(host, 'warn')];
  const words = {
    pass: paint.green('nothing speaks against it'),
    warn: paint.yellow(`it can move; ${warned} of ${host.checks.length} checks warn`),
    refuse: paint.red(`it cannot move: ${refused} of ${host.checks.length} checks refuse`),
  };
  return `${lines}\n${paint.bold(route)}: ${words[host.verdict]}\n`;
}

export function checkedHostsText({ hosts }: CheckAnswer, look: Look): string {
  const rows = hosts.map((host) => {
    const against = host.checks.filter(({ verdict }) => verdict !== 'pass');
    const refusals = against.filter(({ verdict }) => verdict === 'refuse');
    const why = (refusals.length > 0 ? refusals : against).map(
      ({ name, evidence }) => `${name}: ${evidence}`,
    );
    return [host.to, marks(look.paint)[host.verdict].trimEnd(), why.join('; ') || '-'];
  });
  return renderTable(['HOST', 'VERDICT', 'WHY'], rows, look);
}

function countOf({ checks }: CheckedHost, verdict: Check['verdict']): number {
  return checks.filter((check) => check.verdict === verdict).length;
}
