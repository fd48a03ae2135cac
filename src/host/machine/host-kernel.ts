import { randomInt } from 'node:crypto';
import { splitAddress, withPort } from '../../protocol/names.ts';
import { askKernel, type AskKernel, type KernelWord, type Reach } from '../../rpc/reach.ts';

/** A port without a listener: TCPMUX, which no system starts. */
const UNUSED_PORT = 1;
/** Dynamic ports, which have no permanent listeners. */
const [FIRST_HIGH, AFTER_HIGH] = [49_152, 65_536];

/** Precedence of different results: a host is silent only if every port is. */
const ORDER: readonly KernelWord['what'][] = ['answer', 'unknown', 'unreachable', 'silence'];

/**
 * Probes a host's kernel at its agent's port and at two ports without listeners. The kernel drops connections to a
 * listener with a full queue, so a frozen agent looks like a dead host; but a refusal needs no queue. One of the two is
 * chosen randomly each time, in case something listens there.
 */
export function askHost(ask: AskKernel): AskKernel {
  return async (address, timeoutMs, signal) => {
    const over = new AbortController();
    const within = AbortSignal.any([signal, over.signal]);
    const { port: own } = splitAddress(address);
    const askPort = async (port: number): Promise<KernelWord[]> => {
      try {
        const word = await ask(withPort(address, port), timeoutMs, within);
        if (word.what === 'answer') over.abort();
        return [port === own ? word : { ...word, said: `${word.said} at port ${port}` }];
      } catch {
        signal.throwIfAborted();
        return [];
      }
    };
    const ports = [own, UNUSED_PORT, randomInt(FIRST_HIGH, AFTER_HIGH)];
    const words = (await Promise.all(ports.map(askPort))).flat();
    const rank = ({ what }: KernelWord): number => ORDER.indexOf(what);
    return words.reduce((first, word) => (rank(word) < rank(first) ? word : first));
  };
}

const ask = askHost(askKernel);

/** Tells whether the path to a host is open: a refusal and a full queue count as open. */
export const reachHost: Reach = (address, timeoutMs, signal) =>
  ask(address, timeoutMs, signal).then(({ what }) => what === 'answer');
