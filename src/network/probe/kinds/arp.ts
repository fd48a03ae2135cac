import { isIPv4 } from 'node:net';
import type { Target } from '../choose.ts';
import { answerIn, question } from '../../segment/frames.ts';
import type { ProbePort } from '../../segment/probe-port.ts';
import { OFTEN_MS, SELDOM_MS } from './probe.ts';
import type { Probe } from './probe.ts';

/** Between two looks for frames that have come, ms. */
const LOOK_MS = 3;
/** Frames taken in one look: others' go by as well. */
const BURST = 64;

/**
 * ARP or a neighbour solicitation, to the guest's MAC alone: where the segment still sends that MAC to the old host,
 * nobody answers, which is the gap as this host has it.
 */
export function arpProbes(
  port: ProbePort,
  targets: readonly Target[],
  onAnswer: (target: Target) => void,
): { readonly probes: readonly Probe[]; close(): Promise<void> } {
  let over = false;
  let reading = Promise.resolve();
  const close = async (): Promise<void> => {
    if (over) return;
    over = true;
    clearInterval(timer);
    await reading;
    await port.close();
  };
  const drain = async (): Promise<void> => {
    for (let count = 0; count < BURST && !over; count += 1) {
      const frame = await port.receive();
      if (frame === undefined) return;
      const answer = answerIn(frame);
      const from = targets.find(
        ({ address, mac }) => address === answer?.address && mac === answer.mac,
      );
      if (from !== undefined) onAnswer(from);
    }
  };
  let busy = false;
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    reading = drain()
      // A port that is gone hears nothing any more, and the silence says so.
      .catch(() => undefined)
      .finally(() => {
        busy = false;
      });
  }, LOOK_MS);
  const probes = targets.map(({ address, mac }) => ({
    kind: 'arp' as const,
    address,
    // To a solicitation in nobody's name the whole segment hears the answer.
    intervalMs: isIPv4(address) ? OFTEN_MS : SELDOM_MS,
    ask: () => {
      port.send(question(port.mac, address, mac)).catch(() => undefined);
    },
    close,
  }));
  return { probes, close };
}
