import { createHash, randomBytes, randomFillSync } from 'node:crypto';
import { existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';

/**
 * The first process of the lab's container, which has nothing else: a checksummed working set in memory, a part of it
 * rewritten at a rate, a counter server and a command server. As the lab's virtual guests do it; imports nothing of Godwit.
 *
 * Where it has a volume at /data, it writes numbered lines there, each of them synced: `commits` of its figures.
 *
 *   workload STATIC_BYTES DIRTY_BYTES BYTES_PER_SECOND
 */
const [staticBytes = 0, dirtyBytes = 0, bytesPerSecond = 0] = process.argv.slice(2).map(Number);
const COUNTER_PORT = 7001;
const COMMAND_PORT = 7002;
const CHUNK = 64 * 1024;
const STEP_MS = 50;
const LINE_MS = 10;

const fixed = randomFillSync(Buffer.alloc(staticBytes));
const dirty = Buffer.alloc(Math.floor(dirtyBytes / CHUNK) * CHUNK);
const bootId = randomBytes(16).toString('hex');
const sumOf = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');
const fixedSum = sumOf(fixed);
/** What each chunk of the dirty part was made with. */
const sums: string[] = [];
const started = Date.now();
const state = { rate: bytesPerSecond, index: 0, dirtied: 0, dirtyingMs: 0 };
const LINES = '/data/lines';
/** The last numbered line that is synced, of its volume. */
const written = { line: 0 };

setInterval(() => {
  const chunks = dirty.length / CHUNK;
  if (chunks === 0 || state.rate === 0) return;
  state.dirtyingMs += STEP_MS;
  while (state.dirtied < (state.rate * state.dirtyingMs) / 1000) {
    const chunk = dirty.subarray(state.index * CHUNK, (state.index + 1) * CHUNK);
    randomFillSync(chunk);
    sums[state.index] = sumOf(chunk);
    state.index = (state.index + 1) % chunks;
    state.dirtied += CHUNK;
  }
}, STEP_MS);

if (existsSync('/data')) {
  if (existsSync(LINES)) written.line = readFileSync(LINES, 'utf8').split('\n').length - 1;
  const file = openSync(LINES, 'a');
  setInterval(() => {
    writeSync(file, `${written.line + 1}\n`);
    fsyncSync(file);
    written.line += 1;
  }, LINE_MS);
}

function stats(): object {
  return {
    ready: true,
    bootId,
    uptimeMs: Date.now() - started,
    dirtiedBytes: state.dirtied,
    dirtyingMs: state.dirtyingMs,
    dirtyBytesPerSecond: state.rate,
    diskBytes: 0,
    diskErrors: 0,
    commits: written.line,
    commitErrors: 0,
  };
}

function verify(): object {
  const bad = sums.filter(
    (sum, index) => sumOf(dirty.subarray(index * CHUNK, (index + 1) * CHUNK)) !== sum,
  );
  const hash = sumOf(fixed);
  const ok = hash === fixedSum && bad.length === 0;
  return { ok, hash, badChunks: bad.length, diskChunks: 0, badDiskChunks: 0 };
}

function answer(line: string): object {
  const [verb = '', argument = ''] = line.split(' ');
  if (verb === 'rate' && /^\d+$/.test(argument)) {
    Object.assign(state, { rate: Number(argument), dirtied: 0, dirtyingMs: 0 });
    return stats();
  }
  if (verb === 'stats') return stats();
  if (verb === 'verify') return verify();
  if (verb === 'hash') return { hash: fixedSum };
  return { error: 'unknown command' };
}

/** One count for each connection, in memory only: unbroken, it shows that memory and connection both came along. */
function serve(port: number, reply: () => (line: string) => string): void {
  const server = net.createServer((socket) => {
    const answers = reply();
    socket.on('error', () => socket.destroy());
    const lines = createInterface({ input: socket });
    // It hears of the socket's errors too.
    lines.on('error', () => socket.destroy());
    lines.on('line', (line) => void socket.write(`${answers(line)}\n`));
  });
  server.listen(port);
}

// The first process of a namespace ends by a signal only where it asked for it.
process.on('SIGTERM', () => process.exit(0));

serve(COUNTER_PORT, () => {
  let count = 0;
  return (line) => {
    count += 1;
    return `${count} ${line}`;
  };
});
serve(COMMAND_PORT, () => (line) => JSON.stringify(answer(line)));
