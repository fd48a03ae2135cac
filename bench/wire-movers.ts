import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { initCa, issue } from '../src/pki/authority.ts';
import { parseBytes, parseRate } from '../src/protocol/quantity.ts';
import type { Credentials } from '../src/rpc/tls.ts';
import { MOVER_ENVIRONMENT, UNOPTIMISED_FLAGS } from '../src/system/processes/small-process.ts';
import type { Kind } from '../src/wire/codec/records.ts';
import { median, onlyOf, type Bench, type BenchOptions, type Measure } from './contract.ts';
import type { EndOrder, EndWord } from './wire-movers-end.ts';
import { give, Taker, type Stream } from './wire-movers-hypervisor.ts';
import { largeStream } from './wire-movers-large.ts';
import { guestMemory, streamOf } from './wire-movers-stream.ts';

const MIB = 1024 ** 2;
const MEMORY_BYTES = 384 * MIB;
const CACHE_BYTES = 2048 * MIB;
/** What an agent's configuration has where it says nothing: a large guest is larger than it. */
const LARGE_CACHE_BYTES = 1024 * MIB;
const DEFAULT_LINK = 12.5e6;
const DEFAULT_RUNS = 3;
const SCENES = ['cold', 'second', 'return'];
const LARGE_SCENES = ['cold', 'return'];
const MAX_RESIDENT_MB = 250;
/** Whatever the size of the guest. */
const MAX_RESIDENT_LARGE_MB = 300;
const PROGRAM = fileURLToPath(new URL('./wire-movers-end.ts', import.meta.url));

interface MoveResult {
  readonly source: Extract<EndWord, { type: 'ended' }>;
  readonly target: Extract<EndWord, { type: 'ended' }>;
  readonly seconds: number;
}

interface LinkSetting {
  readonly root: string;
  readonly credentials: Readonly<Record<Host, Credentials>>;
  readonly linkBytesPerS: number;
  readonly memoryBytes: number;
  /** Of the memory, what a large guest has touched; undefined for one that is held whole. */
  readonly touchedBytes: number | undefined;
  readonly options: BenchOptions;
}

type Host = 'a' | 'b';

export const wireMovers: Bench = {
  name: 'wire-movers',
  summary:
    'What both movers of the wire take of their processors, without a guest [--link --memory --size --only]',
  async run(options) {
    const root = mkdtempSync(path.join(os.tmpdir(), 'godwit-bench-movers-'));
    try {
      const caDir = path.join(root, 'ca');
      await initCa(caDir);
      const of = (name: string): Promise<Credentials> =>
        issue({ caDir, name, role: 'agent', days: 1, addresses: ['127.0.0.1'] });
      const credentials = { a: await of('a'), b: await of('b') };
      const { link, memory, size } = options.words ?? {};
      const linkBytesPerS = link === undefined ? DEFAULT_LINK : parseRate(link);
      const memoryBytes = memory === undefined ? MEMORY_BYTES : parseBytes(memory);
      const touchedBytes = size === undefined ? undefined : parseBytes(size);
      const place = { root, credentials, linkBytesPerS, memoryBytes, touchedBytes, options };
      return await (touchedBytes === undefined ? measures(place) : measuresOfLarge(place));
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  },
};

async function measures(place: LinkSetting): Promise<Measure[]> {
  const { memoryBytes, options } = place;
  const { runs = DEFAULT_RUNS, say } = options;
  const all: Record<string, MoveResult>[] = [];
  const first = guestMemory(memoryBytes, 1);
  const second = guestMemory(memoryBytes, 2);
  const wanted = onlyOf(options, SCENES) ?? SCENES;
  for (let run = 0; run < runs; run += 1) {
    const moves: Record<string, MoveResult> = {};
    rmSync(path.join(place.root, 'hosts'), { recursive: true, force: true });
    const scene = async (name: string, from: Host, memory: Buffer, version: number) => {
      const guest = memory === first ? 'one' : 'two';
      const stream = streamOf(memory, version);
      moves[name] = await move(place, from, guest, () => [stream]);
      say(`${name.padEnd(8)}${describe(moves[name])}`);
    };
    await scene('cold', 'a', first, run * 3);
    if (wanted.includes('second')) await scene('second', 'a', second, run * 3);
    if (wanted.includes('return')) await scene('return', 'b', first, run * 3 + 1);
    all.push(moves);
  }
  return Object.keys(all[0] ?? {}).flatMap((name) => measuresOf(name, all, memoryBytes));
}

/** One that is too large to be held: cold, and once more in the same direction, when both sides know it. */
async function measuresOfLarge(place: LinkSetting): Promise<Measure[]> {
  const { memoryBytes, touchedBytes = 0, options } = place;
  const { runs = 1, say } = options;
  const wanted = onlyOf(options, LARGE_SCENES) ?? LARGE_SCENES;
  const all: Record<string, MoveResult>[] = [];
  for (let run = 0; run < runs; run += 1) {
    const moves: Record<string, MoveResult> = {};
    rmSync(path.join(place.root, 'hosts'), { recursive: true, force: true });
    for (const [name, from] of [['cold', 'a'] as const, ['return', 'b'] as const]) {
      if (!wanted.includes(name)) continue;
      const guest = () => largeStream({ memoryBytes, touchedBytes });
      moves[name] = await move(place, from, 'large', guest);
      say(`${name.padEnd(8)}${describe(moves[name])}`);
    }
    all.push(moves);
  }
  const most = MAX_RESIDENT_LARGE_MB;
  return wanted.flatMap((name) => measuresOf(name, all, memoryBytes, most));
}

function measuresOf(
  name: string,
  all: readonly Record<string, MoveResult>[],
  memoryBytes: number,
  atMost = MAX_RESIDENT_MB,
): Measure[] {
  const runs = all.length;
  const of = (what: string, unit: string, pick: (moved: MoveResult) => number): Measure => {
    const values = all.flatMap((moves) => (moves[name] === undefined ? [] : [pick(moves[name])]));
    return { name: `${name}: ${what}`, value: median(values), unit, runs };
  };
  const aGb = memoryBytes / 1e9;
  return [
    of('over the link', 'MB', ({ source }) => source.figures.linkBytes / 1e6),
    of('total', 's', ({ seconds }) => seconds),
    of('source’s mover', 's/GB', ({ source }) => source.processorMs / 1000 / aGb),
    of('destination’s mover', 's/GB', ({ target }) => target.processorMs / 1000 / aGb),
    {
      ...of('source’s mover’s memory', 'MB', ({ source }) => source.residentBytes / 1e6),
      target: { atMost },
    },
    {
      ...of('destination’s mover’s memory', 'MB', ({ target }) => target.residentBytes / 1e6),
      target: { atMost },
    },
  ];
}

/** One end's process. */
class End {
  readonly #child: ChildProcess;

  constructor(signal: AbortSignal) {
    this.#child = spawn(process.execPath, [...UNOPTIMISED_FLAGS, PROGRAM], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, ...MOVER_ENVIRONMENT },
      signal,
    });
    this.#child.on('error', () => undefined);
  }

  async order(order: EndOrder): Promise<string> {
    const word = await this.#ask(order);
    if (word.type !== 'ready') throw new Error('an end that was not ready has ended');
    return word.address;
  }

  async end(): Promise<Extract<EndWord, { type: 'ended' }>> {
    const gone = once(this.#child, 'exit');
    const word = await this.#ask('end');
    if (word.type !== 'ended') throw new Error('an end goes on');
    await gone;
    return word;
  }

  stop(): void {
    this.#child.kill();
  }

  async #ask(what: EndOrder | 'end'): Promise<EndWord> {
    this.#child.send(what);
    const gone = once(this.#child, 'exit').then(() => {
      throw new Error('an end of the wire is gone');
    });
    gone.catch(() => undefined);
    const [word] = (await Promise.race([once(this.#child, 'message'), gone])) as [EndWord];
    return word;
  }
}

/** The stream of a hypervisor's from one end to the other; what comes out is compared with it. */
async function move(
  place: LinkSetting,
  from: Host,
  guest: string,
  stream: Stream,
): Promise<MoveResult> {
  const { root, credentials, linkBytesPerS, memoryBytes, touchedBytes, options } = place;
  const session = randomBytes(16).toString('hex');
  const socketOf = (host: Host): string => path.join(root, `${host}.sock`);
  const orderOf = (host: Host, side: EndOrder['side'], address: string): EndOrder => {
    const directory = path.join(root, 'hosts', host);
    mkdirSync(directory, { recursive: true });
    const cache = {
      directory,
      places: path.join(root, 'hosts', `${host}-${guest}`),
      mostBytes: touchedBytes === undefined ? CACHE_BYTES : LARGE_CACHE_BYTES,
    };
    const common = { session, credentials: credentials[host], linkBytesPerS, cache };
    const peer = host === 'a' ? 'b' : 'a';
    return { side, peer, address, socket: socketOf(host), memoryBytes, ...common };
  };
  const to = from === 'a' ? 'b' : 'a';
  const [source, target] = [new End(options.signal), new End(options.signal)];
  const hypervisor = new Taker(stream);
  try {
    await hypervisor.listen(socketOf(to));
    const address = await target.order(orderOf(to, 'target', ''));
    await source.order(orderOf(from, 'source', address));
    const fromMs = performance.now();
    await Promise.all([give(socketOf(from), stream), hypervisor.all]);
    const seconds = (performance.now() - fromMs) / 1000;
    const [sent, taken] = await Promise.all([source.end(), target.end()]);
    return { source: sent, target: taken, seconds };
  } finally {
    source.stop();
    target.stop();
    hypervisor.close();
  }
}

function describe({ source, target, seconds }: MoveResult): string {
  const threads = ({ threadsMs }: MoveResult['source']): string =>
    Object.entries(threadsMs)
      .toSorted(([, left], [, right]) => right - left)
      .filter(([, ms]) => ms >= 20)
      .map(([name, ms]) => `${name} ${(ms / 1000).toFixed(2)}`)
      .join(' ');
  const reported = Object.entries(source.figures.encoded) as [Kind, number][];
  return (
    `${seconds.toFixed(1)} s, ${(source.figures.linkBytes / 1e6).toFixed(1)} MB; ` +
    `source ${(source.processorMs / 1000).toFixed(2)} s (${threads(source)}); ` +
    `destination ${(target.processorMs / 1000).toFixed(2)} s (${threads(target)}); ` +
    reported
      .filter(([, count]) => count > 0)
      .map(([kind, count]) => `${kind} ${count}`)
      .join(' ') +
    ` missed ${source.figures.misses}`
  );
}
