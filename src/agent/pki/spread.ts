import { X509Certificate } from 'node:crypto';
import path from 'node:path';
import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { toGodwitError } from '../../errors.ts';
import { checkList, FLEET_FILE, pkiDirOf, type Fleet } from '../../host/fleet.ts';
import { readAuthorities, readPair } from '../../host/credentials.ts';
import type { Log } from '../../log.ts';
import { newerList, type KnownList, type SignedList } from '../../protocol/peer/fleet.ts';
import type { TwoHolders } from '../../protocol/public/trust.ts';
import type { Peers } from '../peers.ts';
import { SecretFetch } from './secret-fetch.ts';
import { takeAuthorities } from '../../pki/authorities.ts';
import { writePrivate } from '../../pki/files.ts';
import { bundleText } from '../../rpc/trust-bundle.ts';
import { Holders } from './holders.ts';
import { endReplaced, isLast, replacesOthers } from '../../pki/issued.ts';
import {
  changeList,
  followedList,
  heldBy,
  isDue,
  isHeldBy,
  keepList,
  unchanged,
} from '../../pki/fleet-list.ts';

/** How soon the agent beside the CA sees what `godwit pki` has signed there. */
const LOOK_MS = 1000;
/** Every agent asks one of the others so often; who was down or cut off is behind for no longer. */
const PULL_MS = 10_000;
/** Of those that are asked at the start. */
const AT_START = 3;

export interface SpreadDependencies {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly fleet: Fleet;
  readonly peers: Peers;
}

/** Brings the fleet's list from the CA to every host, and from host to host. */
export class Spread {
  readonly #deps: SpreadDependencies;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #holders: Holders | undefined;
  readonly #latest: (() => KnownList | undefined) | undefined;
  readonly secrets: SecretFetch;
  #turn = 0;
  /** Said once, not each second. */
  #failed = '';
  #damaged = '';
  #untaken = '';

  constructor(deps: SpreadDependencies) {
    this.#deps = deps;
    this.secrets = new SecretFetch(deps);
    const { caDir } = deps.config;
    this.#latest = caDir === undefined ? undefined : followedList(caDir, deps.clock);
    this.#holders = caDir === undefined ? undefined : this.#holdersOf(caDir);
  }

  start(): void {
    this.look();
    this.#timers.push(
      setInterval(() => this.look(), LOOK_MS).unref(),
      setInterval(() => void this.#pull(), PULL_MS).unref(),
    );
    this.#takeAuthorities();
    for (let asked = 0; asked < AT_START; asked += 1) void this.#pull();
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** What this host has, where it is newer than the caller's. */
  newerThan(number: number): { signed?: SignedList } {
    const known = this.#known();
    return known !== undefined && known.list.number > number ? { signed: known.signed } : {};
  }

  /**
   * Takes a list that another host hands on, where it is newer than what is here. The number that this host has then.
   * GODWIT_PKI where the CA has not signed it.
   */
  take(signed: SignedList): number {
    const { config, log } = this.#deps;
    // Read each time: a rotation changes which CAs count.
    const ca = bundleText(readAuthorities(pkiDirOf(config)));
    const offered = checkList(signed, ca);
    const known = this.#known();
    if (newerList(known, offered) !== offered) return known?.list.number ?? 0;
    // A CA that was restored from a backup goes on from what the fleet has.
    if (config.caDir !== undefined) keepList(config.caDir, offered);
    this.#keep(offered);
    log.info({ number: offered.list.number }, 'newer fleet list received');
    return offered.list.number;
  }

  /** Beside the CA: signs the list anew when it is due, and hands on what is new. */
  look(): void {
    const { config, clock, log } = this.#deps;
    const { caDir, name, address, addresses } = config;
    if (caDir === undefined) return;
    try {
      let latest = this.#latest?.();
      const nowMs = clock.wallMs();
      const own = { name, address, addresses };
      if (latest === undefined || !isHeldBy(latest.list, own)) {
        latest = changeList(caDir, heldBy(own), nowMs);
      } else if (isDue(latest.list, nowMs)) latest = changeList(caDir, unchanged, nowMs);
      this.#takeAuthorities();
      const known = this.#known();
      if (known?.signed.list === latest.signed.list || newerList(known, latest) !== latest) return;
      this.#keep(latest);
      this.#failed = '';
      void this.#push(latest.signed);
    } catch (err) {
      const why = toGodwitError(err).message;
      if (why !== this.#failed) log.error({ err }, 'fleet list could not be signed or stored');
      this.#failed = why;
    }
  }

  /** Somebody has shown this certificate of a host (DER). Beside the CA: what it has replaced may end. */
  saw(certificate: Buffer | undefined): void {
    if (this.#holders === undefined || certificate === undefined) return;
    this.#holders.saw(new X509Certificate(certificate)).catch((err: unknown) => {
      this.#deps.log.error({ err }, 'replaced certificate could not be revoked');
    });
  }

  /** Beside the CA: hosts whose newest certificate somebody else uses. */
  twoHolders(): TwoHolders[] {
    const { caDir } = this.#deps.config;
    if (caDir === undefined || this.#holders === undefined) return [];
    this.#holders.settled(({ name, serial }) => isLast(caDir, name, serial));
    return this.#holders.two;
  }

  #holdersOf(caDir: string): Holders {
    const { config, clock, peers } = this.#deps;
    return new Holders({
      ...this.#deps,
      certificateAt: (name) => {
        // This host itself needs nobody's word.
        if (name !== config.name) return peers.certificate(name);
        return Promise.resolve(new X509Certificate(readPair(pkiDirOf(config)).cert));
      },
      renewed: (shown) => replacesOthers(caDir, shown)?.name,
      end: (shown) => {
        if (endReplaced(caDir, shown, clock.wallMs())) this.look();
      },
    });
  }

  /** One that is damaged gives way to any that the CA signed. */
  #known(): KnownList | undefined {
    try {
      const known = this.#deps.fleet.known();
      this.#damaged = '';
      return known;
    } catch (err) {
      const { message, hint } = toGodwitError(err);
      if (message !== this.#damaged) this.#deps.log.error({ hint }, message);
      this.#damaged = message;
      return undefined;
    }
  }

  #keep({ signed }: KnownList): void {
    const file = path.join(this.#deps.config.stateDir, FLEET_FILE);
    writePrivate(file, `${JSON.stringify(signed)}\n`);
    this.#takeAuthorities();
    void this.secrets.look();
  }

  /** Why this host does not trust the CAs that the fleet's list names; undefined if it does. */
  get authoritiesProblem(): string | undefined {
    return this.#untaken === '' ? undefined : this.#untaken;
  }

  /** Trusts the CAs that the newest list names; asked again with each look, so that an end of this process costs nothing. */
  #takeAuthorities(): void {
    const { config, log } = this.#deps;
    const known = this.#known();
    if (known === undefined) return;
    try {
      if (takeAuthorities(pkiDirOf(config), known))
        log.info({ number: known.list.number }, 'trusted CAs changed');
      this.#untaken = '';
    } catch (thrown) {
      const { message, hint } = toGodwitError(thrown);
      if (message !== this.#untaken) log.error({ hint }, message);
      this.#untaken = message;
    }
  }

  async #push(signed: SignedList): Promise<void> {
    const { peers, log } = this.#deps;
    const reached = await peers.offerList(signed);
    log.info({ reached }, 'fleet list sent to the other hosts');
  }

  async #pull(): Promise<void> {
    const { peers, log } = this.#deps;
    try {
      const names = peers.names();
      const name = names[this.#turn++ % names.length];
      if (name === undefined) return;
      const { signed } = await peers.newerList(name, this.#known()?.list.number ?? 0);
      if (signed !== undefined) this.take(signed);
      else this.#takeAuthorities();
      await this.secrets.look(name);
    } catch (err) {
      log.debug({ err }, 'fleet list not received from another host');
    }
  }
}
