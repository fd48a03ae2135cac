import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import pg from 'pg';

/**
 * A client that inserts into PostgreSQL all the time and knows what was acknowledged. Each of its connections inserts one
 * row after another, each in a transaction of its own, into a table without a key: a row that is there twice shows.
 *
 *   rows-main HOST
 *
 * Each line of its input asks for something: write, pause, forget, look, check, again. Each line of its output is the answer.
 */
const [host = ''] = process.argv.slice(2);
const WRITERS = 2;
const MAX_FOUND = 10;
const TABLE = 'acknowledged';
const INSERT = `insert into ${TABLE} (writer, step, value) values ($1, $2, $3)`;
const valueOf = (writer: number, step: number): string =>
  createHash('sha512').update(`${writer} ${step}`).digest('hex');

interface Writer {
  connection: pg.Client;
  /** Rows that were acknowledged. */
  steps: number;
}

const state = { writes: false, longestMs: 0 };
const broken: string[] = [];
let loops: Promise<void>[] = [];

async function connect(): Promise<pg.Client> {
  const connection = new pg.Client({ host, user: 'postgres', database: 'postgres' });
  connection.on('error', (error) => broken.push(String(error)));
  await connection.connect();
  return connection;
}

/** Until it is told to pause; a broken connection ends it, and is in `broken`. */
async function write(index: number, writer: Writer): Promise<void> {
  try {
    while (state.writes) {
      const step = writer.steps + 1;
      const asked = performance.now();
      await writer.connection.query(INSERT, [index, step, valueOf(index, step)]);
      writer.steps = step;
      state.longestMs = Math.max(state.longestMs, performance.now() - asked);
    }
  } catch (error) {
    broken.push(`connection ${index}: ${String(error)}`);
  }
}

async function pause(): Promise<void> {
  state.writes = false;
  await Promise.all(loops);
  loops = [];
}

function start(writers: readonly Writer[]): void {
  state.writes = true;
  state.longestMs = 0;
  loops = writers.map((writer, index) => write(index, writer));
}

/** What is not there as it was acknowledged, once, in words; to be asked while it pauses. */
async function check(writers: readonly Writer[]): Promise<string[]> {
  const found = [...broken];
  for (const [index, writer] of writers.entries()) {
    const { rows } = await writer.connection.query<{ step: number; value: string }>(
      `select step, value from ${TABLE} where writer = $1 order by step`,
      [index],
    );
    if (rows.length !== writer.steps)
      found.push(`${index} has ${rows.length} rows, and ${writer.steps} were acknowledged`);
    for (const [at, { step, value }] of rows.entries()) {
      if (step !== at + 1) found.push(`row ${at + 1} of ${index} is ${step}`);
      if (value !== valueOf(index, step)) found.push(`row ${step} of ${index} is another`);
      if (found.length > MAX_FOUND) return found;
    }
  }
  return found;
}

async function answer(line: string, writers: readonly Writer[]): Promise<object> {
  switch (line) {
    case 'write':
      start(writers);
      return {};
    case 'pause':
      await pause();
      return {};
    case 'forget':
      state.longestMs = 0;
      return {};
    case 'look': {
      const rows = writers.reduce((sum, { steps }) => sum + steps, 0);
      return { rows, longestMs: state.longestMs, broken };
    }
    case 'check':
      return { wrong: await check(writers) };
    case 'again':
      await again(writers);
      return {};
    default:
      throw new Error(line);
  }
}

/** New connections in place of those that ended with the system that they led to. */
async function again(writers: readonly Writer[]): Promise<void> {
  broken.length = 0;
  for (const writer of writers) writer.connection = await connect();
}

const made: Writer[] = [];
for (let index = 0; index < WRITERS; index += 1)
  made.push({ connection: await connect(), steps: 0 });
await made[0]?.connection.query(`create table ${TABLE} (writer int, step int, value text)`);
process.stdout.write('{}\n');
for await (const line of createInterface({ input: process.stdin })) {
  const said = await answer(line, made).catch((error: unknown) => ({ failed: String(error) }));
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
process.exit(0);
