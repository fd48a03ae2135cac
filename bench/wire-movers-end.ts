import { readdirSync, readFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { optimiseWhatIsHot } from '../src/system/processes/small-process.ts';
import type { Credentials } from '../src/rpc/tls.ts';
import type { Wire, WireFigures } from '../src/wire/open.ts';
import { peakBytes } from './memory-use.ts';

/** One end of the wire as a mover has it, in a process of its own; told what to do by whoever started it. */

/** What it receives first. */
export interface EndOrder {
  readonly side: 'source' | 'target';
  /** The other host. */
  readonly peer: string;
  readonly socket: string;
  /** Of the target's listener; the source's alone. */
  readonly address: string;
  readonly session: string;
  readonly credentials: Credentials;
  readonly linkBytesPerS: number;
  readonly memoryBytes: number;
  readonly cache: {
    readonly directory: string;
    readonly places: string;
    readonly mostBytes: number;
  };
}

/** What it says: that it is there, then, when it was told to end, what it took. */
export type EndWord =
  | { readonly type: 'ready'; readonly address: string }
  | {
      readonly type: 'ended';
      readonly figures: WireFigures;
      /** Processor time since it was there, ms: of all of it, and by the names of its threads. */
      readonly processorMs: number;
      readonly threadsMs: Readonly<Record<string, number>>;
      /** The most memory that it had resident, bytes; what it has read of its caches' files is in it. */
      readonly residentBytes: number;
    };

enableCompileCache();
optimiseWhatIsHot();
const { openSourceWire, openTargetWire } = await import('../src/wire/open.ts');

const CLOSE_MS = 20_000;
const SECRET = Buffer.alloc(32, 1);

process.once('message', (order: EndOrder) => void serve(order));

async function serve(order: EndOrder): Promise<void> {
  const { wire, address } = await open(order);
  wire.ended.catch((error: unknown) => process.stderr.write(`${order.side}: ${String(error)}\n`));
  const before = process.cpuUsage();
  const threadsBefore = threadTimes();
  say({ type: 'ready', address });
  process.once('message', () => void end());
  async function end(): Promise<void> {
    const threadsMs = threadTimes();
    for (const [name, ms] of Object.entries(threadsBefore)) {
      threadsMs[name] = (threadsMs[name] ?? 0) - ms;
    }
    await wire.close(CLOSE_MS);
    const { user, system } = process.cpuUsage(before);
    const processorMs = (user + system) / 1000;
    // Not by getrusage, whose figure begins with that of the process that started this one.
    const residentBytes = peakBytes(readFileSync('/proc/self/status', 'utf8')) ?? NaN;
    const figures = wire.figures();
    process.send?.({ type: 'ended', figures, processorMs, threadsMs, residentBytes }, () => {
      process.exit();
    });
  }
}

async function open(order: EndOrder): Promise<{ wire: Wire; address: string }> {
  const { side, peer, socket, address, session, credentials, linkBytesPerS } = order;
  const { directory, places: placesFile, mostBytes } = order.cache;
  const common = {
    migration: 'm-00000000',
    epoch: 1,
    session,
    peer,
    credentials,
    socket,
    graceMs: 60_000,
    memoryBytes: order.memoryBytes,
    cores: 1,
    cache: {
      directory,
      placesFile,
      mostBytes,
      secret: SECRET,
      sharing: { with: 'host' },
      peer: 'other',
      seeds: true,
    },
  } as const;
  if (side === 'source') {
    const way = { addresses: [address], connections: 2, maxBytesPerS: linkBytesPerS };
    return { wire: await openSourceWire({ ...common, ...way }), address };
  }
  const place = { hosts: ['127.0.0.1'], ports: { from: 0, to: 0 } };
  const wire = await openTargetWire({ ...common, ...place });
  return { wire, address: wire.address };
}

/** Processor time of this process' threads by their names, ms. */
function threadTimes(): Record<string, number> {
  const times: Record<string, number> = {};
  for (const thread of readdirSync('/proc/self/task')) {
    try {
      const of = `/proc/self/task/${thread}`;
      const name = readFileSync(`${of}/comm`, 'utf8').trim();
      const ms = Number(readFileSync(`${of}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
      times[name] = (times[name] ?? 0) + ms;
    } catch {
      // It ended meanwhile.
    }
  }
  return times;
}

function say(word: EndWord): void {
  process.send?.(word);
}
