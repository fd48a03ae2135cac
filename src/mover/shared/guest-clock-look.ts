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
/** Pause between two questions for the guest's clock, ms; tells a stopped clock from a running one. */
const BETWEEN_MS = 300;
export const NOT_KNOWN_BEFORE =
  'it was not known before the move: another mover began it, or it was over before the answer';

/** Address for clock questions to the guest, IPv4 only. `seen`: addresses known to its host. */
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

  get hasAnswered(): boolean {
    return typeof this.#before !== 'string';
  }

  /** `isLate`: true if an answer now would be from after the switchover. */
  async before(address: ReturnType<typeof clockAddressOf>, isLate: () => boolean): Promise<void> {
    if (typeof address !== 'string') {
      this.#before = address.why;
      return;
    }
    const reading = await this.#ask(address, AbortSignal.timeout(CLOCK_MS));
    // After the switchover the reading would be wrong.
    if (!isLate()) this.#before = reading;
  }

  /** `stoodStillMs`: pause of the guest. Never rejects. */
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
