import { isIPv4 } from 'node:net';
import { systemClock } from '../../../clock.ts';
import type { Target } from '../choose.ts';
import { answerIn, question } from '../../segment/frames.ts';
import type { ProbePort } from '../../segment/probe-port.ts';
import { OFTEN_MS, SELDOM_MS, type Probe } from './probe.ts';

/** Interval between looks for frames while an answer is awaited, and otherwise, ms. */
const [LOOK_MS, IDLE_LOOK_MS] = [3, 25];
/** Looks become rarer in proportion to a question's age. */
const OPEN_SHARE = 1 / 4;
/** Frames per look; others' frames arrive as well. */
const BURST = 64;

/**
 * ARP or neighbour solicitation to the guest's MAC only. While the segment still sends that MAC to the old host, no
 * host answers, and this host sees a gap.
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
  /** True if more frames may wait. */
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
      // A removed port receives nothing, which shows as silence.
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
    // The whole segment receives the answer to an anonymous solicitation.
    intervalMs: isIPv4(address) ? OFTEN_MS : SELDOM_MS,
    ask: () => {
      askedMs = now();
      // Look soon, so that the measured time does not include the wait for a look.
      if (reading === undefined) lookIn(LOOK_MS);
      port.send(question(port.mac, address, mac)).catch(() => undefined);
    },
    close,
  }));
  return { probes, close };
}

/** Time to the next look, ms. Usually no answer is awaited after a move. */
function untilLookMs(openForMs: number | undefined): number {
  if (openForMs === undefined) return IDLE_LOOK_MS;
  return Math.min(IDLE_LOOK_MS, Math.max(LOOK_MS, openForMs * OPEN_SHARE));
}
