/** `npm run faults`: the fault matrix on real guests. See faults/README.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { proverRecorder, type ProverRecord } from '../tools/prover-record.ts';
import { cellId } from './cell.ts';
import { withResults } from './document.ts';
import { isRed } from './judge.ts';
import type { PlayResult } from './play.ts';
import { fromCell, inPlayingOrder, nextCell, Player, type Runnable } from './run.ts';
import { LANES } from './stage.ts';
import { rows } from './table.ts';

const USAGE = `npm run faults -- [--cells PATTERN]... [--from CELL] [--seed N] [--lanes N] [--json] [--list] [--evidence DIR]
       npm run faults -- --write-docs RESULTS...

  --cells PATTERN  only cells whose name (fault/phase/mode) matches this regular expression; may be repeated
  --from CELL      begins with this cell, and leaves out those that are played before it
  --seed N         moves the instants at which faults strike; default 1
  --lanes N        plays so many cells at once, each in a lab of its own; default 2
  --list           names the cells, what must hold in each, and why the others are not run
  --json           one line of JSON for each cell, on standard output
  --evidence DIR   copies journals and logs of red cells there
  --write-docs     puts what --json wrote, of one run or several, into bench/results/faults.md

What was played, and on which commit, is kept in out/proofs/faults.json.
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cells: { type: 'string', multiple: true, default: [] },
    from: { type: 'string' },
    seed: { type: 'string', default: '1' },
    lanes: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    evidence: { type: 'string' },
    'write-docs': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function chosen(): ReturnType<typeof rows> {
  const patterns = values.cells.map((pattern) => new RegExp(pattern));
  return rows().filter(
    ({ cell }) => patterns.length === 0 || patterns.some((pattern) => pattern.test(cellId(cell))),
  );
}

function list(): void {
  for (const row of chosen()) {
    const text = row.run ? row.expect.words : `not run: ${row.why}`;
    console.log(`${cellId(row.cell).padEnd(48)}${text}`);
  }
}

function report(played: PlayResult): void {
  if (values.json) console.log(JSON.stringify(played));
  const ms = (value: number | undefined): string => (value === undefined ? '-' : `${value} ms`);
  const line = [
    played.ok ? 'ok ' : isRed(played) ? 'RED' : 'MISS',
    played.cell.padEnd(46),
    played.outcome.padEnd(8),
    `recovery ${ms(played.recoveryMs)}`,
    `end ${ms(played.endMs)}`,
    `dark ${ms(played.darkMs)}`,
    `gap ${ms(played.gapMs)}`,
    `took ${(played.tookMs / 1000).toFixed(1)} s`,
  ].join('  ');
  const missed = played.missed === undefined ? [] : [`the fault did not strike: ${played.missed}`];
  const why = [...played.problems, ...missed].map((problem) => `\n      ${problem}`).join('');
  process.stderr.write(`${line}${why}\n`);
}

/** In as many lanes as were asked for; the cells that share a kind of stage begin together. */
async function playAll(
  queue: Runnable[],
  stop: AbortSignal,
  keep: (played: readonly PlayResult[]) => void,
): Promise<PlayResult[]> {
  const run = { id: `${Date.now().toString(36)}-${process.pid}`, from: performance.now() };
  const played: PlayResult[] = [];
  const lane = async (number: number): Promise<void> => {
    const { evidence } = values;
    const player = new Player({ seed: Number(values.seed), lane: number, evidence });
    try {
      for (let row = queue.shift(); row !== undefined && !stop.aborted; row = queue.shift()) {
        const elapsed = (): number => Math.round(performance.now() - run.from);
        const one = await player.play(row);
        const reported = { ...one, run: { id: run.id, elapsedMs: elapsed() } };
        report(reported);
        played.push(reported);
        keep(played);
      }
    } finally {
      await player.close();
    }
  };
  await Promise.all(Array.from({ length: lanesOf(values.lanes) }, (_, number) => lane(number)));
  return played;
}

function lanesOf(text: string): number {
  const lanes = Number(text);
  if (Number.isInteger(lanes) && lanes >= 1 && lanes <= LANES.length) return lanes;
  throw new Error(`--lanes ${text}: 1 to ${LANES.length} are possible`);
}

async function main(): Promise<number> {
  const { from } = values;
  const inOrder = inPlayingOrder(chosen().filter((row) => row.run));
  const runnable = fromCell(inOrder, from);
  if (runnable.length === 0) {
    process.stderr.write('no cell that makes sense matches\n');
    return 2;
  }
  const stop = new AbortController();
  // The cell under way is played to its end, and the lab comes down.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  }
  const { seed, cells } = values;
  const recorder = proverRecorder({ prover: 'faults', options: { seed, cells }, from });
  const keep = (played: readonly PlayResult[]): ProverRecord => {
    const next = nextCell(runnable, played);
    const ok = played.every((each) => each.ok);
    return recorder.keep({
      ...(next === undefined ? {} : { next }),
      ok,
      figures: figuresOf(played),
    });
  };
  const played = await playAll([...runnable], stop.signal, keep);
  const { isWhole, commit } = keep(played);
  const next = nextCell(runnable, played);
  const red = played.filter(isRed).length;
  const missed = played.filter((each) => !each.ok).length - red;
  process.stderr.write(`${played.length} cells, ${red} red, ${missed} not struck\n`);
  if (next !== undefined) process.stderr.write(`go on with --from ${next}\n`);
  else if (isWhole) process.stderr.write(`all green on ${commit}\n`);
  return red === 0 && missed === 0 && next === undefined ? 0 : 1;
}

function figuresOf(played: readonly PlayResult[]): Record<string, unknown> {
  const names = (wanted: (each: PlayResult) => boolean): string[] =>
    played.filter(wanted).map(({ cell }) => cell);
  const missed = names((each) => !each.ok && !isRed(each));
  return { played: played.length, red: names(isRed), missed };
}

/** Results come as lines of JSON. */
function writeDocs(files: readonly string[]): void {
  const lines = files.flatMap((file) => readFileSync(file, 'utf8').split('\n'));
  const played = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as PlayResult);
  const page = fileURLToPath(new URL('../bench/results/faults.md', import.meta.url));
  writeFileSync(page, withResults(readFileSync(page, 'utf8'), played));
}

if (values.help) process.stdout.write(USAGE);
else if (values.list) list();
else if (values['write-docs']) writeDocs(positionals);
else process.exitCode = await main();
