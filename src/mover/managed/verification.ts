import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import type { ManagedState } from '../../migration/managed/state.ts';
import { passes, warns } from '../../migration/preflight/finding.ts';
import { inOrder, looked, notLooked } from '../../migration/report/verified.ts';
import type { Verified } from '../../migration/report/verified.ts';
import type { askGuestClock } from '../../network/clock/guest-clock.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { clockAddressOf, GuestClockLook } from '../engine/guest-clock-look.ts';

const SILENT_HINT =
  'Ask the guest from another machine, and look whether its network reaches the host where it is now.';

/**
 * What this host sees of a guest that its manager moves, from outside of the hypervisor, before and after. It knows the
 * guest's address from its configuration alone. Nothing that is seen, or cannot be, fails a migration.
 */
export class ManagedVerification {
  readonly #config: Pick<AgentConfig, 'name' | 'network'>;
  readonly #look: GuestClockLook;

  /** `ask`: a guest for its clock. */
  constructor(
    config: Pick<AgentConfig, 'name' | 'network'>,
    clock: Clock,
    ask?: typeof askGuestClock,
  ) {
    this.#config = config;
    this.#look = new GuestClockLook(clock, ask);
  }

  /** Before the manager is asked to move it. Never rejects. */
  before(state: () => ManagedState): void {
    void this.#look.before(this.#addressOf(state()), () => state().order !== 'none');
  }

  /** Its manager has it at the destination. Never rejects. */
  async results({ plan, figures, unseen }: ManagedState): Promise<Check[]> {
    const address = this.#addressOf({ plan });
    const { from, to } = plan;
    const copies =
      unseen === true
        ? notLooked('copies', 'both', `${from} has let it go, and ${to} did not answer`)
        : looked('copies', 'both', passes(hasIt(plan)));
    const clock = await this.#look.after(address, figures.downtimeMs ?? 0);
    return inOrder([copies, clock, this.#reached(address, clock)]);
  }

  /** It answered before: a silence now says something of its network. */
  #reached(address: ReturnType<typeof clockAddressOf>, clock: Verified): Verified {
    if (typeof address !== 'string') return notLooked('reached', 'both', address.why);
    const { name } = this.#config;
    if (!this.#look.hasAnswered)
      return notLooked(
        'reached',
        'both',
        `${address} has not answered ${name} before the move either`,
      );
    return clock.notTried === true
      ? looked(
          'reached',
          'both',
          warns(`${address} answered ${name} before the move, and does not any more`, SILENT_HINT),
        )
      : looked('reached', 'both', passes(`it answers ${name} (ICMP to ${address})`));
  }

  #addressOf({ plan }: Pick<ManagedState, 'plan'>): ReturnType<typeof clockAddressOf> {
    return clockAddressOf(this.#config, plan.guest, []);
  }
}

/** A guest whose storage moves by itself stays where it is. */
function hasIt({ from, to, settings }: ManagedState['plan']): string {
  if (from !== to) return `its manager has it at ${to}, and no more at ${from}`;
  return `its manager has it at ${to} as before, with its storage at ${settings.datastore ?? 'another place'}`;
}
