import { X509Certificate } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { godwitError, hasCode, toGodwitError, type GodwitError } from '../../errors.ts';
import { readPair } from '../../host/credentials.ts';
import { pkiDirOf, type Fleet } from '../../host/fleet.ts';
import type { Log } from '../../log.ts';
import { renewalDueMs, retryPauseMs, type Validity } from '../../protocol/peer/renewal.ts';
import { issuerAmong, parseBundle } from '../../rpc/trust-bundle.ts';
import type { Peers } from '../peers.ts';
import { endReplaced, renewCertificate } from '../../pki/issued.ts';
import { dropPending, pendingRequest, settlePair, takeIntoUse } from '../../pki/pending.ts';

const DAY_MS = 86_400_000;
/** The clock may be set, the files be replaced by hand, and another CA begin to issue, meanwhile. */
const LOOK_MS = 15_000;
/** Past a renewal, so that a CA that gives certificates of next to no life is not asked without a pause. */
const AFTER_MS = 1000;

export interface RenewalDependencies {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly fleet: Pick<Fleet, 'list'>;
  readonly peers: Pick<Peers, 'newerList' | 'renew'>;
  /** From 0 to 1: hosts whose certificates are of one age do not ask at once. */
  readonly random?: () => number;
}

/** Renews this host’s certificate at the host that holds the CA, in time, for as long as the agent runs. */
export class Renewal {
  readonly #deps: RenewalDependencies;
  readonly #directory: string;
  readonly #stop = new AbortController();
  readonly #startedMs: number;
  #jitter: number;
  /** Whether the CA has said since the start what it gives now. */
  #asked = false;
  #notBeforeMs = 0;
  #failures = 0;
  #failure: GodwitError | undefined;

  constructor(deps: RenewalDependencies) {
    this.#deps = deps;
    this.#directory = pkiDirOf(deps.config);
    this.#startedMs = deps.clock.wallMs();
    this.#jitter = this.#random();
    settlePair(this.#directory);
  }

  start(): void {
    void this.#run();
  }

  close(): void {
    this.#stop.abort();
  }

  /** Tries that failed since the last one that did not, and why the last of them did. */
  get failed(): { readonly count: number; readonly why: GodwitError | undefined } {
    return { count: this.#failures, why: this.#failure };
  }

  /** Never rejects; ends with `close`. */
  async #run(): Promise<void> {
    const { clock } = this.#deps;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const inMs = this.#dueInMs();
      if (inMs > 0) await clock.sleep(Math.min(inMs, LOOK_MS), signal).catch(() => undefined);
      else await this.#attempt();
    }
  }

  #dueInMs(): number {
    const nowMs = this.#deps.clock.wallMs();
    try {
      if (this.#isOfOtherCa()) return this.#notBeforeMs - nowMs;
      const given = { jitter: this.#jitter, startedMs: this.#startedMs, asked: this.#asked };
      const dueMs = renewalDueMs(this.#life(), given);
      return Math.max(dueMs, this.#notBeforeMs) - nowMs;
    } catch (thrown) {
      this.#fail(toGodwitError(thrown), nowMs);
      return LOOK_MS;
    }
  }

  async #attempt(): Promise<void> {
    const { clock, log } = this.#deps;
    try {
      const isNew = await this.#renew();
      if (this.#stop.signal.aborted) return;
      this.#asked = true;
      this.#failures = 0;
      this.#failure = undefined;
      this.#jitter = this.#random();
      // One that is due and is to be kept all the same: the clocks of the two hosts differ.
      const pauseMs = isNew ? AFTER_MS : retryPauseMs(1, this.#leftMs());
      this.#notBeforeMs = clock.wallMs() + pauseMs;
      if (isNew)
        log.info({ daysLeft: this.#leftMs() / DAY_MS }, 'certificate of this host renewed');
    } catch (thrown) {
      if (!this.#stop.signal.aborted) this.#fail(toGodwitError(thrown), clock.wallMs());
    }
  }

  /** Whether there is a new one; false where the one that is there is to be kept. */
  async #renew(): Promise<boolean> {
    const { config, clock, fleet, peers } = this.#deps;
    const request = await pendingRequest(this.#directory, config.name);
    const holder = fleet.list()?.holder;
    if (config.caDir === undefined && (holder === undefined || holder === config.name)) {
      const hint =
        'Name the CA’s directory as `caDir` in the configuration of the host that has it.';
      throw godwitError('GODWIT_PKI', { what: 'no agent of the fleet holds the CA' }, { hint });
    }
    const { certificate } =
      config.caDir === undefined
        ? await peers.renew(holder ?? '', request)
        : await renewCertificate(config.caDir, this.#own(), request, clock.wallMs());
    if (certificate === undefined) {
      dropPending(this.#directory);
      return false;
    }
    takeIntoUse(this.#directory, certificate);
    await this.#prove(holder ?? '');
    return true;
  }

  /** Shows the new certificate to the CA, which then ends those of before; else the next question for a list does it. */
  async #prove(holder: string): Promise<void> {
    const { config, clock, fleet, peers, log } = this.#deps;
    try {
      if (config.caDir === undefined) await peers.newerList(holder, fleet.list()?.number ?? 0);
      else endReplaced(config.caDir, this.#own(), clock.wallMs());
    } catch (err) {
      log.debug({ err }, 'CA has not seen the new certificate of this host yet');
    }
  }

  #fail(why: GodwitError, nowMs: number): void {
    const { log, config } = this.#deps;
    this.#failures += 1;
    this.#failure = why;
    const leftMs = this.#leftMs();
    this.#notBeforeMs = nowMs + retryPauseMs(this.#failures, leftMs);
    const { code, message: reason, hint } = why;
    const daysLeft = leftMs / DAY_MS;
    const said = { code, reason, hint, failures: this.#failures, daysLeft };
    if (hasCode(why, 'GODWIT_CERT_SUPERSEDED', 'GODWIT_CERT_REVOKED')) {
      log.error(said, `CA rejects the certificate of ${config.name}: it issued a newer one`);
    } else log.warn(said, 'certificate of this host could not be renewed');
  }

  #leftMs(): number {
    try {
      return this.#life().toMs - this.#deps.clock.wallMs();
    } catch {
      return 0;
    }
  }

  #life(): Validity {
    const { validFromDate, validToDate } = this.#own();
    return { fromMs: validFromDate.getTime(), toMs: validToDate.getTime() };
  }

  /** Another CA issues now: the certificate is renewed early. A list that cannot be read is reported elsewhere. */
  #isOfOtherCa(): boolean {
    let issuing: string | undefined;
    try {
      [issuing] = this.#deps.fleet.list()?.authorities ?? [];
    } catch {
      return false;
    }
    return issuing !== undefined && issuerAmong(parseBundle(issuing), this.#own()) === undefined;
  }

  #own(): X509Certificate {
    return new X509Certificate(readPair(this.#directory).cert);
  }

  #random(): number {
    return (this.#deps.random ?? Math.random)();
  }
}
