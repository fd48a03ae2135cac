import { defined } from '../../protocol/defined.ts';
import { sendBufferBytes } from './locked-memory.ts';
import { LONG_MS, type RouteOut } from '../../migration/preflight/link.ts';
import { networkTool } from '../../network/ip.ts';
import { routeOutTo } from '../../network/route-out.ts';
import { splitAddress } from '../../protocol/names.ts';
import { rendezvousOf } from '../../protocol/relay.ts';
import { askKernel, type AskKernel } from '../../rpc/reach.ts';

/** What is seen of the path to another host, for checks. What is not seen is left out. */
export interface PathLook {
  readonly roundTripMs?: number;
  readonly routeOut?: RouteOut;
  /** So much of a stream of this host may be under way; a relay ends its connections. */
  readonly windowBytes?: number;
}

/** Asks nothing of the other host but an answer; through a relay it is the only way to time the path. */
export type Question = (signal: AbortSignal) => Promise<unknown>;

/** Looks at the path to a host; never rejects but by the signal. A simulation has none. */
export type LookAtPath = (
  address: string,
  question: Question,
  signal: AbortSignal,
) => Promise<PathLook>;

/** A migration that begins, and whoever asks for a check, wait no longer for it, ms. */
const MAX_MS = 2000;
const TRY_MS = 2000;
/** On a short path that is busy: as often as fits into so long, to find one try that waited for nothing. */
const MIN_TRIES = 3;
const MAX_TRIES = 16;
const TRIES_MS = 200;

/**
 * The other kernel answers a connection by itself: an agent that waits for a processor makes no path long. A relay ends
 * connections, so through one the agent is asked.
 */
export const lookAtPath: LookAtPath = async (address, question, signal) => {
  const within = AbortSignal.any([signal, AbortSignal.timeout(MAX_MS)]);
  try {
    if (rendezvousOf(address) !== undefined) return await timed(question, within);
    const [trip, routeOut, windowBytes] = await Promise.all([
      byKernel(address, within),
      routeOutTo(splitAddress(address).host, within),
      sendBufferBytes(),
    ]);
    return { ...trip, windowBytes, ...defined({ routeOut }) };
  } catch {
    signal.throwIfAborted();
    return {};
  }
};

/** What looks long is looked up once more where no process of this host has a part in it. */
async function byKernel(
  address: string,
  signal: AbortSignal,
): Promise<Pick<PathLook, 'roundTripMs'>> {
  const trip = await timed((within) => mustAnswer(askKernel, address, within), signal);
  const { roundTripMs = 0 } = trip;
  if (roundTripMs <= LONG_MS) return trip;
  const { host, port } = splitAddress(address);
  const words = ['-tinH', 'dst', host.replace(/[[\]]/g, ''), 'dport', '=', `:${port}`];
  const said = await networkTool('ss', words, signal).catch(() => undefined);
  signal.throwIfAborted();
  return { roundTripMs: Math.min(roundTripMs, leastOf(said?.output ?? '')) };
}

/** The shortest round trip that this kernel has seen of its connections, by the words of `ss`, ms. */
export function leastOf(said: string): number {
  const all = [...said.matchAll(/\bminrtt:(\d+(?:\.\d+)?)/g)].map(([, ms]) => Number(ms));
  return Math.min(...all);
}

async function mustAnswer(ask: AskKernel, address: string, signal: AbortSignal): Promise<void> {
  const { what, said } = await ask(address, TRY_MS, signal);
  if (what !== 'answer') throw new Error(said);
}

/** The shortest of several tries, ms; nothing where one has no answer. */
export async function timed(
  question: Question,
  signal: AbortSignal,
  now = (): number => performance.now(),
): Promise<Pick<PathLook, 'roundTripMs'>> {
  let least = Infinity;
  const beganMs = now();
  try {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const askedMs = now();
      if (tries >= MIN_TRIES && (least <= LONG_MS || askedMs - beganMs >= TRIES_MS)) break;
      await question(signal);
      least = Math.min(least, now() - askedMs);
    }
  } catch {
    // An earlier build has no such question, and a check goes on without this.
    signal.throwIfAborted();
    return {};
  }
  return { roundTripMs: least };
}
