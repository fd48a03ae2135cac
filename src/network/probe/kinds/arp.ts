import { isIPv4 } from 'node:net';
import { systemClock } from '../../../clock.ts';
import type { Target } from '../choose.ts';
import { answerIn, question } from '../../segment/frames.ts';
import type { ProbePort } from '../../segment/probe-port.ts';
import { OFTEN_MS, SELDOM_MS, type Probe } from './probe.ts';

/** Between two looks for frames that have come while an answer is awaited, ms, and when none is. */
const [LOOK_MS, IDLE_LOOK_MS] = [3, 25];
/** A question that has been open for long is looked after less often, in proportion to that time. */
const OPEN_SHARE = 1 / 4;
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
  now: () => number = () => systemClock.monotonicMs(),
): { readonly probes: readonly Probe[]; close(): Promise<void> } {
  let over = false;
  let reading: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  /** When the last question was sent that nothing has answered. */
  let askedMs: number | undefined;
  const lookIn = (ms: number): void => {
    clearTimeout(timer);
    if (!over) timer = setTimeout(look, ms);
  };
  const close = async (): Promise<void> => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    await reading;
    await port.close();
  };
  /** Whether more may wait. */
  const drain = async (): Promise<boolean> => {
    for (let count = 0; count < BURST && !over; count += 1) {
      const frame = await port.receive();
      if (frame === undefined) return false;
      const answer = answerIn(frame);
      const from = targets.find(
        ({ address, mac }) => address === answer?.address && mac === answer.mac,
      );
      if (from === undefined) continue;
      askedMs = undefined;
      onAnswer(from);
    }
    return true;
  };
  const look = (): void => {
    reading ??= drain()
      // A port that is gone hears nothing any more, and the silence says so.
      .catch(() => false)
      .then((isMore) => {
        reading = undefined;
        lookIn(isMore ? LOOK_MS : untilLookMs(askedMs === undefined ? undefined : now() - askedMs));
      });
  };
  lookIn(LOOK_MS);
  const probes = targets.map(({ address, mac }) => ({
    kind: 'arp' as const,
    address,
    // To a solicitation in nobody's name the whole segment hears the answer.
    intervalMs: isIPv4(address) ? OFTEN_MS : SELDOM_MS,
    ask: () => {
      askedMs = now();
      // Soon, so that what the guest took is not lengthened by the wait for a look.
      if (reading === undefined) lookIn(LOOK_MS);
      port.send(question(port.mac, address, mac)).catch(() => undefined);
    },
    close,
  }));
  return { probes, close };
}

/** Until the next look, ms. Nobody's answer is awaited for most of the time that a watch goes on after a move. */
function untilLookMs(openForMs: number | undefined): number {
  if (openForMs === undefined) return IDLE_LOOK_MS;
  return Math.min(IDLE_LOOK_MS, Math.max(LOOK_MS, openForMs * OPEN_SHARE));
}
