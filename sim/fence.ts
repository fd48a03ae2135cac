import { systemClock } from '../src/clock.ts';
import type { Fence } from '../src/host/fencing.ts';
import { whyNotDark, type DarkWatchIo } from '../src/host/watch-dark-host.ts';
import type { Reach } from '../src/rpc/reach.ts';
import { ADDRESSES, HOSTS, type HostName } from './scenario.ts';

/** As in the configuration of each simulated host of a fleet, ms. */
export const SILENCE_MS = 5000;
/** A management board carries an order out within this time, ms. */
const BOARD_MS = 800;
/** Answers as long as a host's own link is open: one of `fencing.controls`. */
const SWITCH = '10.0.0.254:1';

export interface FenceDependencies {
  readonly reach: Reach;
  /** Nothing keeps this host from its switch. */
  readonly isLinked: () => boolean;
  readonly peers: () => Readonly<Record<string, { readonly address: string }>>;
  /** Ends with the host off. */
  readonly turnOff: (host: HostName) => void;
}

/**
 * The fencing of a simulated host: the product's gate, which watches the other host's kernel, and a hook that is honest: it
 * turns the host off, if it is not off already.
 */
export function simFence({ reach, isLinked, peers, turnOff }: FenceDependencies): Fence {
  const io = darkWatchIo(async (address, timeoutMs, signal) => {
    if (address !== SWITCH) return reach(address, timeoutMs, signal);
    if (!isLinked()) await systemClock.sleep(timeoutMs, signal);
    return isLinked();
  });
  return async (host, { addresses }, signal) => {
    const others = Object.entries(peers()).filter(([name]) => name !== host);
    const controls = [SWITCH, ...others.map(([, { address }]) => address)];
    const paths = [...new Set([...addresses, ADDRESSES[host as HostName]])];
    const why = await whyNotDark(paths, controls, SILENCE_MS, signal, io);
    if (why !== undefined) return { off: false, why };
    await systemClock.sleep(BOARD_MS, signal);
    const found = HOSTS.find((name) => name === host);
    if (found === undefined) return { off: false, why: `no board turns ${host} off` };
    turnOff(found);
    return { off: true, by: 'the board' };
  };
}

/** Each host has one link, over which it reaches all others. */
function darkWatchIo(reach: Reach): DarkWatchIo {
  return {
    clock: systemClock,
    ask: async (address, timeoutMs, signal) =>
      (await reach(address, timeoutMs, signal))
        ? { what: 'answer', said: 'its kernel answers' }
        : { what: 'silence', said: `nothing within ${timeoutMs} ms` },
    ownLinkTo: async () => ({ isUp: true, missing: false, route: 'eth0' }),
    openEcho: async () => ({ why: 'no echo is sent' }),
    resolve: async (name) => [name],
  };
}
