import { isIPv4 } from 'node:net';
import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import type { ClockDifference } from '../../migration/report/probes.ts';
import {
  judgeGuestClock,
  looked,
  notLooked,
  type VerificationCheck,
} from '../../migration/report/verified.ts';
import { askGuestClock } from '../../network/clock/guest-clock.ts';
import { configuredOf } from '../../network/probe/choose.ts';

const CLOCK_MS = 4000;
/** Between the two questions for the guest's clock, ms: a clock that has stopped is distinguished from one that goes. */
const BETWEEN_MS = 300;
export const NOT_KNOWN_BEFORE =
  'it was not known before the move: another mover began it, or it was over before the answer';

/** The address at which a guest is asked for its clock: ICMP has that question for IPv4 alone. `seen`: those that its host knows. */
export function clockAddressOf(
  { network: { probe } }: Pick<AgentConfig, 'network'>,
  guest: string,
  seen: readonly string[],
): string | { readonly why: string } {
  if (probe === 'off') return { why: 'guests are not probed, as this host is configured' };
  const all = [...configuredOf(probe.addresses, guest), ...seen];
  return all.find((each) => isIPv4(each)) ?? { why: 'no IPv4 address of the guest is known' };
}

/** The guest's clock before and after its move, asked of its kernel from this host. */
export class GuestClockLook {
  readonly #clock: Clock;
  readonly #ask: typeof askGuestClock;
  #before: ClockDifference | string = NOT_KNOWN_BEFORE;

  constructor(clock: Clock, ask: typeof askGuestClock = askGuestClock) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /** Whether it answered before its move. */
  get hasAnswered(): boolean {
    return typeof this.#before !== 'string';
  }

  /** `isLate`: whether an answer that comes now is one of after the switch. */
  async before(address: ReturnType<typeof clockAddressOf>, isLate: () => boolean): Promise<void> {
    if (typeof address !== 'string') {
      this.#before = address.why;
      return;
    }
    const reading = await this.#ask(address, AbortSignal.timeout(CLOCK_MS));
    // After the switch it would be the clock of then.
    if (!isLate()) this.#before = reading;
  }

  /** `stoodStillMs`: for how long it was paused. Never rejects. */
  async after(
    address: ReturnType<typeof clockAddressOf>,
    stoodStillMs: number,
  ): Promise<VerificationCheck> {
    const skip = (why: string): VerificationCheck => notLooked('guest-clock', 'both', why);
    const before = this.#before;
    if (typeof before === 'string') return skip(before);
    if (typeof address !== 'string') return skip(address.why);
    const signal = AbortSignal.timeout(CLOCK_MS);
    const first = await this.#ask(address, signal);
    if (typeof first === 'string') return skip(first);
    const atMs = this.#clock.monotonicMs();
    await this.#clock.sleep(BETWEEN_MS, signal).catch(() => undefined);
    const second = await this.#ask(address, signal);
    if (typeof second === 'string') return skip(second);
    const betweenMs = this.#clock.monotonicMs() - atMs;
    const facts = { before, after: [first, second], betweenMs, stoodStillMs } as const;
    return looked('guest-clock', 'both', judgeGuestClock(facts));
  }
}
