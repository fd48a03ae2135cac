import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import type { WrittenFiles } from '../../port/disks.ts';
import { hasCode, toGodwitError } from '../../errors.ts';
import type { ManagedState } from '../../migration/managed/state.ts';
import { passes, warns } from '../../migration/preflight/finding.ts';
import { isWatchedEarly, probeReportOf } from '../../migration/report/probes.ts';
import {
  inOrder,
  judgeLeftWriters,
  judgeReached,
  looked,
  notLooked,
  type VerificationCheck,
} from '../../migration/report/verified.ts';
import type { askGuestClock } from '../../network/clock/guest-clock.ts';
import { configuredOf } from '../../network/probe/choose.ts';
import type { ProbeSearch } from '../../network/probe/find.ts';
import { GuestWatch } from '../../network/probe/watch.ts';
import type { WatchResult } from '../../protocol/peer/probe.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { ProbeReport } from '../../protocol/public/probe.ts';
import { clockAddressOf, GuestClockLook } from '../shared/guest-clock-look.ts';
import type { OtherHosts } from './other-hosts.ts';

const SILENT_HINT =
  'Ask the guest from another machine, and look whether its network reaches the host where it is now.';
const NO_ADDRESS =
  'no address of the guest is known; name it under `network.probe.addresses` of this agent';
const NOT_BEGUN = 'another mover began the migration, and what it saw ended with it';
/** Looks of the destination's agent that count here. */
const LOOKED_AT_THERE = ['disks', 'segment'] as const;
/** Limit, ms; its looks take up to 6 s. */
const THERE_MS = 8000;
const MAX_LOOKS = 16;
/** Probe interval for a guest that may move for hours, ms; a manager does not announce its switchover. */
const LONG_INTERVAL_MS = 50;

interface Io {
  readonly ask?: typeof askGuestClock;
  readonly watch?: (wanted: ProbeSearch) => Pick<GuestWatch, 'end' | 'close'>;
  /** Wall clock of the request. */
  readonly askedAtMs?: number;
  /** Present if the guest's manager is part of its hosts. */
  readonly hosts?: HostLooks;
  /** Uninvolved hosts that also watch it. */
  readonly others?: Pick<OtherHosts, 'begin' | 'results' | 'close'>;
}

export interface HostLooks {
  readonly askThere: (signal: AbortSignal) => Promise<readonly Check[]>;
  /** Guests of this host that may write to each of these files; undefined if no driver can tell. */
  readonly writersHere: (
    files: readonly string[],
    signal: AbortSignal,
  ) => Promise<(readonly string[])[] | undefined>;
}

/**
 * External checks of a managed guest by this host, before, during and after the move, and by its destination's agent.
 * The guest's addresses come from the configuration only. Results cannot fail a migration.
 */
export class ManagedVerification {
  readonly #config: Pick<AgentConfig, 'name' | 'network'>;
  readonly #clock: Clock;
  readonly #io: Io;
  readonly #look: GuestClockLook;
  #watch: Pick<GuestWatch, 'end' | 'close'> | undefined;
  /** Files that the guest writes to here, as its manager reported before the move. */
  #written: WrittenFiles | undefined;
  #isInspected = false;
  #there: Promise<readonly Check[] | string> | undefined;

  constructor(config: Pick<AgentConfig, 'name' | 'network'>, clock: Clock, io: Io = {}) {
    this.#config = config;
    this.#clock = clock;
    this.#io = io;
    this.#look = new GuestClockLook(clock, io.ask);
  }

  /** Called before the manager's order. Never rejects. */
  before(state: () => ManagedState): void {
    void this.#look.before(this.#addressOf(state()), () => state().order !== 'none');
  }

  /** Probes the guest until `results` or `close`; nothing waits for it. */
  watch({ plan, memoryBytes = 0 }: ManagedState): void {
    const { probe } = this.#config.network;
    if (this.#watch !== undefined || probe === 'off') return;
    const { id, guest, from, to } = plan;
    const { hosts: _hosts, laterMs: _laterMs, addresses, ...probing } = probe;
    const known = configuredOf(addresses, guest);
    const leastIntervalMs = isWatchedEarly(plan.settings.mode, memoryBytes) ? 0 : LONG_INTERVAL_MS;
    // Other hosts are not asked if none has its addresses.
    if (known.length > 0)
      this.#io.others?.begin({
        id,
        guest,
        ends: [from, to],
        probing,
        ...(leastIntervalMs === 0 ? {} : { leastIntervalMs }),
      });
    if (this.#whyNot(guest) !== undefined) return;
    const { watch = (wanted) => new GuestWatch(wanted) } = this.#io;
    const nobodys = { nics: [], bridges: {} };
    this.#watch = watch({ owner: id, ...nobodys, probing, addresses: known, leastIntervalMs });
  }

  #whyNot(guest: string): string | undefined {
    const { name, network } = this.#config;
    const { probe } = network;
    if (probe === 'off') return undefined;
    if (probe.hosts?.includes(name) === false)
      return `\`network.probe.hosts\` does not name ${name}, and no other host can know that guest`;
    return configuredOf(probe.addresses, guest).length === 0 ? NO_ADDRESS : undefined;
  }

  /** Takes the manager's report before the move. */
  inspected({ written }: { readonly written?: WrittenFiles | undefined }): void {
    this.#isInspected = true;
    this.#written = written;
  }

  /**
   * The destination's agent asks its manager for this guest; await it before the manager is told of the end. Never
   * rejects.
   */
  async there(): Promise<void> {
    const { hosts } = this.#io;
    if (hosts === undefined) return;
    const signal = AbortSignal.timeout(THERE_MS);
    this.#there ??= hosts.askThere(signal).catch((thrown: unknown) => {
      if (hasCode(thrown, 'GODWIT_ROUTE_UNKNOWN'))
        return 'its agent is of a build that does not look';
      return toGodwitError(thrown).message;
    });
    await this.#there;
  }

  /** The manager has the guest at the destination. Never rejects. */
  async results({
    plan,
    figures,
    unseen,
  }: ManagedState): Promise<{ verified: Check[]; vantages?: ProbeReport[] }> {
    const address = this.#addressOf({ plan });
    const { from, to } = plan;
    const copies =
      unseen === true
        ? notLooked('copies', 'both', `${from} does not have it any more, and ${to} did not answer`)
        : looked('copies', 'both', passes(hasIt(plan)));
    const [clock, own, others, disks, there] = await Promise.all([
      this.#look.after(address, figures.downtimeMs ?? 0),
      this.#seen(plan.guest),
      this.#io.others?.results(this.#askedAtMs) ?? [],
      this.#disksHere(plan),
      this.#seenThere(),
    ]);
    const seen = [...(own === undefined ? [] : [own]), ...others];
    const looks = [copies, ...disks, ...there, clock, this.#reached(address, clock, seen)];
    const verified = inOrder(looks).slice(0, MAX_LOOKS);
    return { verified, ...(seen.length === 0 ? {} : { vantages: seen }) };
  }

  /** A peer only reports on its own host, with these looks. */
  async #seenThere(): Promise<Check[]> {
    if (this.#io.hosts === undefined) return [];
    await this.there();
    const found = (await this.#there) ?? NOT_BEGUN;
    const seen = typeof found === 'string' ? [] : found.filter(isLookThere).slice(0, MAX_LOOKS / 2);
    const why = typeof found === 'string' ? found : 'its agent did not report it';
    const lacking = LOOKED_AT_THERE.filter((name) => !seen.some((each) => each.name === name));
    return [...seen, ...lacking.map((name) => notLooked(name, 'destination', why))];
  }

  /** The source's hypervisor has ended, and no other one here may write to its files. */
  async #disksHere({ from, to }: ManagedState['plan']): Promise<VerificationCheck[]> {
    const { hosts } = this.#io;
    if (hosts === undefined || from === to) return [];
    const skip = (why: string): VerificationCheck[] => [notLooked('disks', 'source', why)];
    if (!this.#isInspected) return skip(NOT_BEGUN);
    if (this.#written === undefined)
      return skip('its manager does not name the files of its disks');
    const { files } = this.#written;
    if (files.length === 0) return [];
    try {
      const writers = await hosts.writersHere(files, AbortSignal.timeout(THERE_MS));
      if (writers === undefined) return skip('no driver of this host knows who writes to them');
      return [looked('disks', 'source', judgeLeftWriters(from, files, writers))];
    } catch (thrown) {
      return skip(toGodwitError(thrown).message);
    }
  }

  /** Line of the report; undefined if probing is off. */
  async #seen(guest: string): Promise<ProbeReport | undefined> {
    const { name, network } = this.#config;
    if (network.probe === 'off') return undefined;
    const result = await this.#ended(guest);
    return probeReportOf(name, result, Math.max(0, this.#clock.wallMs() - this.#askedAtMs));
  }

  get #askedAtMs(): number {
    return this.#io.askedAtMs ?? this.#clock.wallMs();
  }

  async #ended(guest: string): Promise<WatchResult> {
    if (this.#watch === undefined) return { notTried: this.#whyNot(guest) ?? NOT_BEGUN };
    const result = await this.#watch.end();
    this.#watch = undefined;
    return result.notTried === undefined
      ? result
      : { notTried: `not reached by probes: ${result.notTried}`.slice(0, 1024) };
  }

  /** It answered before, so a silence now points at its network. */
  #reached(
    address: ReturnType<typeof clockAddressOf>,
    clock: VerificationCheck,
    seen: readonly ProbeReport[],
  ): VerificationCheck {
    const byProbes = judgeReached([...seen]);
    if (typeof byProbes !== 'string') return looked('reached', 'both', byProbes);
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

  async close(): Promise<void> {
    await Promise.all([this.#watch?.close(), this.#io.others?.close()]);
    this.#watch = undefined;
  }
}

const isLookThere = ({ name, side, error }: Check): boolean =>
  side === 'destination' && error === undefined && LOOKED_AT_THERE.some((each) => each === name);

/** A guest whose storage moves alone stays in place. */
function hasIt({ from, to, settings }: ManagedState['plan']): string {
  if (from !== to) return `its manager has it at ${to}, and no more at ${from}`;
  return `its manager has it at ${to} as before, with its storage at ${settings.datastore ?? 'another place'}`;
}

export type Looks = Pick<
  ManagedVerification,
  'before' | 'inspected' | 'watch' | 'there' | 'results' | 'close'
>;
