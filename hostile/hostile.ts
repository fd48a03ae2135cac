/** `npm run hostile`: somebody with a valid host certificate does everything else wrong. See hostile/README.md. */
import { parseArgs } from 'node:util';
import { proverRecorder } from '../tools/prover-record.ts';
import type { CaseResult } from './attacker.ts';
import { attackController } from './controller.ts';
import { runCases, type Outcome } from './run.ts';

const USAGE = `npm run hostile -- [--cases N] [--from N] [--seed N] [--case N]... [--json] [--print]

  --cases N  how many cases; default 1000
  --from N   the first of them, so that many are run in parts; default 0
  --seed N   which ones; default 1
  --case N   only this case of the seed, alone; may be repeated
  --print    each case, with what was sent and what was answered
  --json     what it came to, as one line of JSON on standard output
  --controller  against a real controller: its answers and events are the cases
  --hole H   the attacked host has this known defect, which must be found (see hostile/holes/)

What each part came to, and on which commit, is kept in out/proofs/hostile.json.
`;

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '1000' },
    from: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    case: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    print: { type: 'boolean', default: false },
    controller: { type: 'boolean', default: false },
    hole: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

/** Of a request, when it is printed. */
const MAX_SHOWN = 8000;
/** Between two lines that say how far it is. */
const EVERY = 250;

function numberOf(text: string, name: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0 && number <= 1_000_000) return number;
  throw new Error(`--${name} ${text}: a whole number up to 1000000 is possible`);
}

function print({ case: made, answers, words }: CaseResult): void {
  process.stderr.write(`case ${made.number} (${made.kind})\n`);
  for (const [index, { target, method, path, headers, body }] of made.asks.entries()) {
    const said = [target, method, path, JSON.stringify(headers), body ?? ''].join(' ');
    process.stderr.write(
      `  ${said.slice(0, MAX_SHOWN)}\n    -> ${answers[index]} ${words[index]}\n`,
    );
  }
  for (const [index, { pieces, ...how }] of (made.bytes ?? []).entries()) {
    const bytes = Buffer.concat(pieces.map((piece) => Buffer.from(piece, 'base64')));
    const shown = JSON.stringify(bytes.toString('latin1').slice(0, 500));
    process.stderr.write(`  ${JSON.stringify(how)} ${shown} (${bytes.length} bytes)\n`);
    process.stderr.write(`    -> ${answers[made.asks.length + index]}\n`);
  }
}

function mib(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

function report(outcome: Outcome): void {
  const { cases, asks, seenCalls, violations, before, after, tookMs } = outcome;
  const lines = [
    `${cases} cases, ${asks} requests in ${(tookMs / 1000).toFixed(1)} s`,
    `${seenCalls} calls of the attacked host that name a path`,
    `agent: ${mib(before.rssBytes)} before, ${mib(after.rssBytes)} after, ` +
      `${mib(before.keptRssBytes)} and ${mib(after.keptRssBytes)} of them once its garbage is collected, ` +
      `${mib(before.inUseBytes)} and ${mib(after.inUseBytes)} in use by its objects; ` +
      `open files ${before.openFiles}, ${after.openFiles}; kept ${mib(before.diskBytes)}, ${mib(after.diskBytes)}`,
    ...violations.map(({ number, what }) => `VIOLATION case ${number ?? '?'}: ${what}`),
    `${violations.length} violations`,
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
}

async function againstController(seed: number, cases: number): Promise<number> {
  const outcome = await attackController({ seed, cases });
  const { rssBytes, inUseBytes, databaseBytes, isMarked, violations, tookMs } = outcome;
  const lines = [
    `${outcome.cases} answers and events of a hostile host in ${(tookMs / 1000).toFixed(1)} s`,
    `controller: ${mib(rssBytes)} at most, ${mib(inUseBytes)} in use once its garbage is collected; ` +
      `its database has ${mib(databaseBytes)}; the hostile host was ${isMarked ? '' : 'not '}marked`,
    ...violations.map((what) => `VIOLATION: ${what}`),
    `${violations.length} violations`,
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
  if (values.json) process.stdout.write(`${JSON.stringify({ seed, ...outcome })}\n`);
  return violations.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const seed = numberOf(values.seed, 'seed');
  const count = numberOf(values.cases, 'cases');
  if (values.controller) return againstController(seed, count);
  const first = numberOf(values.from, 'from');
  const numbers =
    values.case.length > 0
      ? values.case.map((each) => numberOf(each, 'case'))
      : Array.from({ length: count }, (_, index) => first + index);
  let done = 0;
  const onCase = (tried: CaseResult): void => {
    done += 1;
    if (values.print) print(tried);
    for (const problem of tried.problems) {
      process.stderr.write(`case ${tried.case.number}: ${problem}\n`);
    }
    if (done % EVERY === 0) process.stderr.write(`${done} of ${numbers.length} cases\n`);
  };
  const outcome = await runCases({ seed, numbers, hole: values.hole, onCase });
  report(outcome);
  // A single case, or a known defect, is no part of the whole.
  if (values.case.length === 0 && values.hole === undefined) {
    const { violations, asks, before, after } = outcome;
    const recorder = proverRecorder({
      prover: 'hostile',
      options: { seed },
      from: first === 0 ? undefined : String(first),
    });
    const figures = { cases: outcome.cases, asks, before, after, violations };
    recorder.keep({ next: String(first + count), ok: violations.length === 0, figures });
  }
  if (values.json) process.stdout.write(`${JSON.stringify({ seed, ...outcome })}\n`);
  return outcome.violations.length === 0 ? 0 : 1;
}

process.exitCode = await main();
