import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { RedisConnection, type Answer } from './redis-wire.ts';
import { until } from '../../until.ts';

/**
 * A client that writes to Redis all the time and knows what was acknowledged. Each of its connections takes one step after
 * another, in one transaction: INCR and RPUSH, which tell a write that is there twice from one that is there once, and SET.
 *
 *   redis-main HOST PORT
 *
 * Each line of its input asks for something: fill, write, pause, look, check, again. Each line of its output is the answer.
 */
const [host = '', port = ''] = process.argv.slice(2);
const WRITERS = 4;
/** So many keys a connection writes in turn. */
const KEYS = 2000;
const FILLED = 24_000;
const BATCH = 500;
/** It is 1 KiB, and no page is as another. */
const valueOf = (key: string): string => createHash('sha512').update(key).digest('hex').repeat(8);

interface Writer {
  connection: RedisConnection;
  /** Steps that were acknowledged. */
  steps: number;
  /** The connection broke: nobody knows of the step that was under way. */
  ended: boolean;
}

const writers: Writer[] = [];
const state = { filled: 0, writes: false, gapMs: 0, answeredAt: Date.now() };
const wrong: string[] = [];
const broken: string[] = [];
let loops: Promise<void>[] = [];

async function connect(): Promise<void> {
  for (let index = 0; index < WRITERS; index += 1) {
    // Its container is there before it listens.
    const connection = await until('Redis to listen', 30_000, () =>
      RedisConnection.open(host, Number(port)).catch(() => undefined),
    );
    const before = writers[index];
    if (before === undefined) writers.push({ connection, steps: 0, ended: false });
    else Object.assign(before, { connection, ended: false });
  }
}

/** Until it is told to pause; a broken connection ends it, and is in `broken`. */
async function write(index: number): Promise<void> {
  const writer = writers[index];
  if (writer === undefined) return;
  try {
    while (state.writes) {
      const step = writer.steps + 1;
      const key = `key:${index}:${step % KEYS}`;
      const answers = await writer.connection.ask(
        ['MULTI'],
        ['INCR', `count:${index}`],
        ['RPUSH', `log:${index}`, String(step)],
        ['SET', key, `${step} ${valueOf(`${key} ${step}`)}`],
        ['EXEC'],
      );
      const said = answers.at(-1);
      if (String(said) !== `${step},${step},OK`)
        wrong.push(`step ${step} of ${index}: ${String(said)}`);
      writer.steps = step;
      const now = Date.now();
      state.gapMs = Math.max(state.gapMs, now - state.answeredAt);
      state.answeredAt = now;
    }
  } catch (error) {
    broken.push(`connection ${index}: ${String(error)}`);
    writer.ended = true;
  }
}

async function pause(): Promise<void> {
  state.writes = false;
  await Promise.all(loops);
  loops = [];
}

function start(): void {
  state.writes = true;
  state.answeredAt = Date.now();
  state.gapMs = 0;
  loops = writers.map((_, index) => write(index));
}

async function fill(): Promise<void> {
  const [first] = writers;
  for (; state.filled < FILLED; state.filled += BATCH) {
    const commands = Array.from({ length: BATCH }, (_, index) => {
      const key = `fill:${state.filled + index}`;
      return ['SET', key, valueOf(key)];
    });
    await first?.connection.ask(...commands);
  }
}

/**
 * Looks at all that was acknowledged over a connection of its own, while nothing is written. A step whose answer never came
 * may be there or not, but in order; it counts from then on. What is wrong, in words.
 */
async function check(): Promise<string[]> {
  const found: string[] = [];
  const connection = await RedisConnection.open(host, Number(port));
  for (const [index, writer] of writers.entries()) {
    const [list, count] = await connection.ask(
      ['LRANGE', `log:${index}`, '0', '-1'],
      ['GET', `count:${index}`],
    );
    const entries = Array.isArray(list) ? (list as readonly Answer[]) : [];
    const misplaced = entries.findIndex((entry, at) => entry !== String(at + 1));
    if (misplaced >= 0)
      found.push(`entry ${misplaced + 1} of ${index} is ${String(entries[misplaced])}`);
    const more = entries.length - writer.steps;
    if (more !== 0 && !(more === 1 && writer.ended))
      found.push(`${index} has ${entries.length} entries, and ${writer.steps} were acknowledged`);
    if (Number(count) !== entries.length)
      found.push(`count of ${index} is ${String(count)}, not ${entries.length}`);
    const most = Math.min(KEYS, entries.length);
    const steps = Array.from({ length: most }, (_, at) => entries.length - at);
    const values = await connection.ask(
      ...steps.map((step) => ['GET', `key:${index}:${step % KEYS}`]),
    );
    for (const [at, step] of steps.entries()) {
      const key = `key:${index}:${step % KEYS}`;
      const wanted = `${step} ${valueOf(`${key} ${step}`)}`;
      if (values[at] !== wanted) found.push(`${key} is not what step ${step} set`);
    }
  }
  for (let from = 0; from < state.filled; from += BATCH) {
    const keys = Array.from({ length: BATCH }, (_, index) => `fill:${from + index}`);
    const values = await connection.ask(...keys.map((key) => ['GET', key]));
    for (const [at, key] of keys.entries()) {
      if (values[at] !== valueOf(key)) found.push(`${key} is not what it was`);
    }
  }
  connection.close();
  return found.slice(0, 10);
}

async function answer(line: string): Promise<object> {
  switch (line) {
    case 'fill':
      await fill();
      return {};
    case 'write':
      start();
      return {};
    case 'pause':
      await pause();
      return {};
    case 'look':
      return {
        steps: writers.map(({ steps }) => steps),
        gapMs: state.gapMs,
        wrong: [...wrong, ...broken],
      };
    case 'check':
      return { wrong: [...wrong, ...(await check())] };
    case 'again':
      return again();
    default:
      throw new Error(line);
  }
}

/** New connections after the old ones ended; what is there is checked, and taken for the state to go on from. */
async function again(): Promise<object> {
  await pause();
  const found = await check();
  const ended = writers.filter((each) => each.ended).length;
  await connect();
  broken.length = 0;
  for (const [index, writer] of writers.entries()) {
    const [length] = await writer.connection.ask(['LLEN', `log:${index}`]);
    writer.steps = Number(length);
  }
  return { ended, wrong: [...wrong, ...found] };
}

await connect();
process.stdout.write('{}\n');
for await (const line of createInterface({ input: process.stdin })) {
  const said = await answer(line).catch((error: unknown) => ({ failed: String(error) }));
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
process.exit(0);
