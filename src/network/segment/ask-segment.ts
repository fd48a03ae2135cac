import { systemClock } from '../../clock.ts';
import { answerIn, question, type Answer } from './frames.ts';
import type { ProbePort } from './probe-port.ts';

export interface Question {
  readonly address: string;
  /** Absent: the whole segment is asked. */
  readonly to?: string;
}

/** Number and interval of repeated questions, ms; frames get lost, and busy guests are slow. */
const ROUNDS = 5;
const ROUND_MS = 200;
const LOOK_MS = 5;
const BURST = 64;
const MAX_ANSWERS = 1024;

/** Asks, and collects the answers. Ends early by `enough`, but never within a round, as a second answer may follow. */
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
      // A guest's port would drop a larger burst.
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
