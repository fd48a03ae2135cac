import { defined } from '../../protocol/defined.ts';
import { sendBufferBytes } from './locked-memory.ts';
import { LONG_MS, type RouteOut } from '../../migration/preflight/link.ts';
import { networkTool } from '../../network/ip.ts';
import { routeOutTo } from '../../network/route-out.ts';
import { splitAddress } from '../../protocol/names.ts';
import { rendezvousOf } from '../../protocol/relay.ts';
import { askKernel, type AskKernel } from '../../rpc/reach.ts';

export interface PathLook {
  readonly roundTripMs?: number;
  readonly routeOut?: RouteOut;
  /** This host's TCP window; absent through a relay, which ends connections. */
  readonly windowBytes?: number;
}

/** A minimal call; through a relay the only way to time the path. */
export type Question = (signal: AbortSignal) => Promise<unknown>;

/** Examines the path to a host; rejects only by the signal. Simulations have none. */
export type LookAtPath = (
  address: string,
  question: Question,
  signal: AbortSignal,
) => Promise<PathLook>;

const MAX_MS = 2000;
const TRY_MS = 2000;
/** Tries on a short busy path, to find one without waiting. */
const MIN_TRIES = 3;
const MAX_TRIES = 16;
const TRIES_MS = 200;

/**
 * The kernel accepts connections by itself, so a busy agent does not lengthen the path. A relay ends connections, so
 * through one the agent is called.
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

/** A long result is checked again with the kernel's own figures, which exclude this host's processes. */
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

export function leastOf(said: string): number {
  const all = [...said.matchAll(/\bminrtt:(\d+(?:\.\d+)?)/g)].map(([, ms]) => Number(ms));
  return Math.min(...all);
}

async function mustAnswer(ask: AskKernel, address: string, signal: AbortSignal): Promise<void> {
  const { what, said } = await ask(address, TRY_MS, signal);
  if (what !== 'answer') throw new Error(said);
}

/** Minimum of several tries, ms; undefined if one fails. */
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
    signal.throwIfAborted();
    return {};
  }
  return { roundTripMs: least };
}
