import { systemClock } from '../../clock.ts';
import { answerIn, question, type Answer } from './frames.ts';
import type { ProbePort } from './probe-port.ts';

export interface Question {
  readonly address: string;
  /** Absent: the whole segment is asked. */
  readonly to?: string;
}

/** Each is asked so often, after so long, ms: a frame may be lost, and a busy guest is slow. */
const ROUNDS = 5;
const ROUND_MS = 200;
const LOOK_MS = 5;
const BURST = 64;
const MAX_ANSWERS = 1024;

/**
 * Asks, and hears what is answered: to these questions only. Ends early once `enough` says so of what was heard, but
 * never inside a round: a second answer follows the first.
 */
export async function askSegment(
  port: ProbePort,
  questions: readonly Question[],
  enough: (heard: readonly Answer[]) => boolean,
  signal: AbortSignal,
): Promise<Answer[]> {
  const asked = new Set(questions.map(({ address }) => address));
  const heard = new Map<string, Answer>();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, { address, to }] of questions.entries()) {
      // More at once than a guest's port has room for would be lost.
      if (index % BURST === BURST - 1) await systemClock.sleep(LOOK_MS, signal);
      await port.send(question(port.mac, address, to));
    }
    const until = systemClock.monotonicMs() + ROUND_MS;
    while (systemClock.monotonicMs() < until) {
      signal.throwIfAborted();
      const frame = await port.receive();
      if (frame === undefined) {
        await systemClock.sleep(LOOK_MS, signal);
        continue;
      }
      const answer = answerIn(frame);
      if (answer === undefined || !asked.has(answer.address) || heard.size >= MAX_ANSWERS) continue;
      heard.set(`${answer.address} ${answer.mac}`, answer);
    }
    if (enough([...heard.values()])) break;
  }
  return [...heard.values()];
}
