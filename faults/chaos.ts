/** `npm run chaos -- --minutes M --seed N`: three guests move round three hosts while something dies every few seconds. */
import { parseArgs } from 'node:util';
import { chaos } from './chaos/chaos.ts';

const USAGE = `npm run chaos -- [--minutes M] [--seed N] [--json] [--quiet] [--evidence DIR]

Three guests move round three hosts while movers, agents, connections and links die at random; M is at most 120
(default 1). It ends by itself; its exit status is 1 when anything that must hold did not; the hosts' records are
kept in DIR then.
`;
const MOST_MINUTES = 120;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
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
  if (!(minutes > 0 && minutes <= MOST_MINUTES) || !Number.isInteger(seed)) {
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
  const reported = await chaos({ ms: minutes * 60_000, seed, signal: stop.signal, say, evidence });
  if (values.json) console.log(JSON.stringify(reported));
  for (const { guest, moves, calmMoves, verified, darkMs, gapMs } of reported.journeys) {
    const ends = [
      ...Object.entries(moves).map(([outcome, count]) => `${count} ${outcome}`),
      ...Object.entries(calmMoves).map(([outcome, count]) => `${count} ${outcome} afterwards`),
    ];
    console.log(
      `${guest}: ${ends.join(', ')}; memory verified ${verified} times; longest without a running copy ${darkMs} ms, longest silence for its client ${gapMs} ms`,
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
