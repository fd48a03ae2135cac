import { randomInt } from 'node:crypto';
import { splitAddress, withPort } from '../../protocol/names.ts';
import { askKernel, type AskKernel, type KernelWord, type Reach } from '../../rpc/reach.ts';

/** A port on which nobody listens: TCPMUX, which no system starts. */
const UNUSED_PORT = 1;
/** The ports that nobody is given for good. */
const [FIRST_HIGH, AFTER_HIGH] = [49_152, 65_536];

/** What counts first where the ports say different things: only a host of which every port is silent is silent. */
const ORDER: readonly KernelWord['what'][] = ['answer', 'unknown', 'unreachable', 'silence'];

/**
 * Asks a host's kernel at a port on which its agent listens, and at the same time at two on which nobody does. A kernel
 * drops what comes for a listener whose queue is full, so a frozen agent is as silent as a dead host; to refuse a
 * connection it needs no queue. One of the two is drawn anew for each question: somebody may listen there once.
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
        // An answer at another port ended this question.
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

/** Whether the path to a host is open: a refusal came over it too, and a full queue of one listener does not close it. */
export const reachHost: Reach = (address, timeoutMs, signal) =>
  ask(address, timeoutMs, signal).then(({ what }) => what === 'answer');
