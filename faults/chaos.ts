/** `npm run chaos -- --minutes M --seed N`: three guests move round three hosts while something dies every few seconds. */
import { parseArgs } from 'node:util';
import { proverRecorder } from '../tools/prover-record.ts';
import { chaos } from './chaos/chaos.ts';

const USAGE = `npm run chaos -- [--minutes M] [--from MINUTE] [--seed N] [--json] [--quiet] [--evidence DIR]

Three guests move round three hosts while movers, agents, connections and links die at random. From time to time a
host loses its power, and the others recover its guests. M is at most 120 (default 1). It ends by itself; its exit status is 1 when anything that must hold did not; the hosts' records are
kept in DIR then. A run that was stopped goes on with --from, for the rest of its minutes. What it came to, and on
which commit, is kept in out/proofs/chaos.json.
`;
const MAX_MINUTES = 120;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
    evidence: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

async function main(): Promise<number> {
  const minutes = Number(values.minutes);
  const seed = Number(values.seed);
  const from = Number(values.from);
  const isPossible = minutes > from && from >= 0 && minutes <= MAX_MINUTES;
  if (!isPossible || !Number.isInteger(seed)) {
    process.stderr.write(USAGE);
    return 2;
  }
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  }
  const say = (text: string): void => {
    if (!values.quiet) process.stderr.write(`${new Date().toISOString()} ${text}\n`);
  };
  const { evidence } = values;
  const part = from === 0 ? {} : { part: `from minute ${from}` };
  const recorder = proverRecorder({
    prover: 'chaos',
    options: { minutes, seed },
    from: from === 0 ? undefined : String(from),
  });
  const began = performance.now();
  const ms = (minutes - from) * 60_000;
  const reported = await chaos({
    ms,
    seed,
    signal: stop.signal,
    say,
    evidence,
    powerCuts: true,
    ...part,
  });
  const { violations, moves: count, deaths: killed } = reported;
  const minute = from + Math.floor((performance.now() - began) / 60_000);
  recorder.keep({
    ...(stop.signal.aborted && { next: String(minute) }),
    ok: violations.length === 0,
    figures: { moves: count, killed, violations },
  });
  if (values.json) console.log(JSON.stringify(reported));
  for (const journey of reported.journeys) {
    const { guest, moves, calmMoves, verified, recovered, replaced, darkMs, gapMs } = journey;
    const ends = [
      ...Object.entries(moves).map(([outcome, count]) => `${count} ${outcome}`),
      ...Object.entries(calmMoves).map(([outcome, count]) => `${count} ${outcome} afterwards`),
    ];
    console.log(
      `${guest}: ${ends.join(', ')}; memory verified ${verified} times; recovered ${recovered} times, and ${replaced} times by no host; longest without a running copy ${darkMs} ms, longest silence for its client ${gapMs} ms`,
    );
  }
  const deaths = Object.entries(reported.deaths).map(([what, count]) => `${count} ${what}`);
  console.log(`killed: ${deaths.join(', ')}; moves: ${reported.moves}; seed ${seed}`);
  for (const violation of reported.violations) console.log(`VIOLATION: ${violation}`);
  console.log(`${reported.violations.length} violations`);
  return reported.violations.length === 0 ? 0 : 1;
}

if (values.help) process.stdout.write(USAGE);
else process.exitCode = await main();
