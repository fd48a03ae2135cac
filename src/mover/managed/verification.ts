import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import type { ManagedState } from '../../migration/managed/state.ts';
import { passes, warns } from '../../migration/preflight/finding.ts';
import { isWatchedEarly, probeReportOf } from '../../migration/report/probes.ts';
import { inOrder, judgeReached, looked, notLooked } from '../../migration/report/verified.ts';
import type { Verified } from '../../migration/report/verified.ts';
import type { askGuestClock } from '../../network/clock/guest-clock.ts';
import { configuredOf } from '../../network/probe/choose.ts';
import type { Wanted } from '../../network/probe/find.ts';
import { GuestWatch } from '../../network/probe/watch.ts';
import type { WatchResult } from '../../protocol/peer/probe.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { ProbeReport } from '../../protocol/public/probe.ts';
import { clockAddressOf, GuestClockLook } from '../engine/guest-clock-look.ts';

const SILENT_HINT =
  'Ask the guest from another machine, and look whether its network reaches the host where it is now.';
const NO_ADDRESS =
  'no address of the guest is known; name it under `network.probe.addresses` of this agent';
const NOT_BEGUN = 'another mover began the migration, and what it saw ended with it';
/** A manager does not say when it will switch: a guest that may move for hours is asked less often, ms. */
const LONG_INTERVAL_MS = 50;

interface Io {
  /** Asks a guest for its clock. */
  readonly ask?: typeof askGuestClock;
  readonly watch?: (wanted: Wanted) => Pick<GuestWatch, 'end' | 'close'>;
  /** When the migration was asked for, by the wall's clock. */
  readonly askedAtMs?: number;
}

/**
 * What this host sees of a guest that its manager moves, from outside of the hypervisor, before, meanwhile and after. It knows
 * the guest's addresses from its configuration alone. Nothing that is seen, or cannot be, fails a migration.
 */
export class ManagedVerification {
  readonly #config: Pick<AgentConfig, 'name' | 'network'>;
  readonly #clock: Clock;
  readonly #io: Io;
  readonly #look: GuestClockLook;
  #watch: Pick<GuestWatch, 'end' | 'close'> | undefined;

  constructor(config: Pick<AgentConfig, 'name' | 'network'>, clock: Clock, io: Io = {}) {
    this.#config = config;
    this.#clock = clock;
    this.#io = io;
    this.#look = new GuestClockLook(clock, io.ask);
  }

  /** Before the manager is asked to move it. Never rejects. */
  before(state: () => ManagedState): void {
    void this.#look.before(this.#addressOf(state()), () => state().order !== 'none');
  }

  /** From here on it is probed, until `results` or `close`; nothing waits for that. */
  watch({ plan, memoryBytes = 0 }: ManagedState): void {
    const { probe } = this.#config.network;
    if (this.#watch !== undefined || probe === 'off' || this.#whyNot(plan.guest) !== undefined) {
      return;
    }
    const { hosts: _hosts, laterMs: _laterMs, addresses, ...probing } = probe;
    const { watch = (wanted) => new GuestWatch(wanted) } = this.#io;
    const isShort = isWatchedEarly(plan.settings.mode, memoryBytes);
    this.#watch = watch({
      owner: plan.id,
      nics: [],
      bridges: {},
      probing,
      addresses: configuredOf(addresses, plan.guest),
      leastIntervalMs: isShort ? 0 : LONG_INTERVAL_MS,
    });
  }

  /** Why this host does not probe it; undefined where it does. */
  #whyNot(guest: string): string | undefined {
    const { name, network } = this.#config;
    const { probe } = network;
    if (probe === 'off') return undefined;
    if (probe.hosts?.includes(name) === false)
      return `\`network.probe.hosts\` does not name ${name}, and no other host can know that guest`;
    return configuredOf(probe.addresses, guest).length === 0 ? NO_ADDRESS : undefined;
  }

  /** Its manager has it at the destination. Never rejects. */
  async results({
    plan,
    figures,
    unseen,
  }: ManagedState): Promise<{ verified: Check[]; vantages?: ProbeReport[] }> {
    const address = this.#addressOf({ plan });
    const { from, to } = plan;
    const copies =
      unseen === true
        ? notLooked('copies', 'both', `${from} has let it go, and ${to} did not answer`)
        : looked('copies', 'both', passes(hasIt(plan)));
    const [clock, seen] = await Promise.all([
      this.#look.after(address, figures.downtimeMs ?? 0),
      this.#seen(plan.guest),
    ]);
    const verified = inOrder([copies, clock, this.#reached(address, clock, seen)]);
    return { verified, ...(seen === undefined ? {} : { vantages: [seen] }) };
  }

  /** A line of the report; undefined where nobody probes, as it is configured. */
  async #seen(guest: string): Promise<ProbeReport | undefined> {
    const { name, network } = this.#config;
    if (network.probe === 'off') return undefined;
    const result = await this.#ended(guest);
    const askedAtMs = this.#io.askedAtMs ?? this.#clock.wallMs();
    return probeReportOf(name, result, Math.max(0, this.#clock.wallMs() - askedAtMs));
  }

  async #ended(guest: string): Promise<WatchResult> {
    if (this.#watch === undefined) return { notTried: this.#whyNot(guest) ?? NOT_BEGUN };
    const result = await this.#watch.end();
    this.#watch = undefined;
    return result.notTried === undefined
      ? result
      : { notTried: `not reached by probes: ${result.notTried}`.slice(0, 1024) };
  }

  /** It answered before: a silence now says something of its network. */
  #reached(
    address: ReturnType<typeof clockAddressOf>,
    clock: Verified,
    seen: ProbeReport | undefined,
  ): Verified {
    const byProbes = seen?.gapMs === undefined ? undefined : judgeReached([seen]);
    if (byProbes !== undefined && typeof byProbes !== 'string')
      return looked('reached', 'both', byProbes);
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

  /** Leaves nothing behind. */
  async close(): Promise<void> {
    await this.#watch?.close();
    this.#watch = undefined;
  }
}

/** A guest whose storage moves by itself stays where it is. */
function hasIt({ from, to, settings }: ManagedState['plan']): string {
  if (from !== to) return `its manager has it at ${to}, and no more at ${from}`;
  return `its manager has it at ${to} as before, with its storage at ${settings.datastore ?? 'another place'}`;
}
