/** Hosts lose their power, one at a time. The others are asked to recover every guest, and may start only those that died. */
import { toGodwitError } from '../../src/errors.ts';
import { agentsOf } from '../../lab/agents.ts';
import { cutPower, restorePower } from '../../lab/power.ts';
import { recoverInTurns } from '../power/recover.ts';
import type { Stage } from '../stage.ts';
import type { Witness } from '../witness.ts';

/** For the hosts that recover a guest, ms. */
const RECOVERS_MS = 25_000;
const STANDBY_MS = 60_000;

export class PowerCuts {
  readonly violations: string[] = [];
  /** Hosts that have lost their power at any time: their dead guests left files there. */
  readonly lost = new Set<string>();
  readonly #stage: Stage;
  readonly #say: (text: string) => void;
  readonly #witnesses = new Map<string, Witness>();
  #cuts = 0;
  #recovered = 0;
  #under: { readonly host: string; readonly cut: Promise<void> } | undefined;

  constructor(stage: Stage, say: (text: string) => void) {
    this.#stage = stage;
    this.#say = say;
  }

  /** How many have begun. */
  get count(): number {
    return this.#cuts;
  }

  /** The host that loses its power now, or has none. */
  get host(): string | undefined {
    return this.#under?.host;
  }

  /** Guests that a host started from their disks. */
  get recovered(): number {
    return this.#recovered;
  }

  watch(guest: string, witness: Witness): void {
    this.#witnesses.set(guest, witness);
  }

  /** False if another host is without power. */
  begin(host: string): boolean {
    if (this.#under !== undefined) return false;
    this.#cuts += 1;
    this.lost.add(host);
    const cut = this.#cut(host)
      .catch((thrown: unknown) => {
        this.violations.push(`the power of ${host}: ${toGodwitError(thrown).message}`);
      })
      .finally(() => {
        this.#under = undefined;
      });
    this.#under = { host, cut };
    return true;
  }

  /** Resolves once every host has power. */
  async settled(): Promise<void> {
    await this.#under?.cut;
  }

  /** Has the other hosts keep what starts the guest there; one that is just dying does not. */
  async keepStandbys(guest: string, host: string): Promise<void> {
    for (const to of this.#stage.lab.hosts.filter((other) => other !== host)) {
      const order = { params: { guest }, body: { to } };
      await this.#stage
        .agent(host)
        .putStandby(order, { deadlineMs: STANDBY_MS })
        .catch((thrown: unknown) => {
          this.#say(`${guest}: no standby at ${to}: ${toGodwitError(thrown).code}`);
        });
    }
  }

  async #cut(host: string): Promise<void> {
    const { lab } = this.#stage;
    // As a controller does: what died meanwhile may have kept the other hosts from being told.
    await Promise.all(
      [...this.#witnesses]
        .filter(([, witness]) => witness.runningOn().includes(host))
        .map(([guest]) => this.keepStandbys(guest, host)),
    );
    const agents = (await agentsOf(lab, host)).map(({ pid }) => pid);
    const all = [...this.#witnesses.values()];
    const qemus = all.flatMap((witness) => witness.pid(host) ?? []);
    await cutPower(lab, host, [...qemus, ...agents]);
    for (const witness of all) witness.ended(host);
    try {
      await Promise.all([...this.#witnesses].map((each) => this.#recover(host, ...each)));
    } finally {
      await restorePower(lab, host);
      this.#say(`${host} has its power back`);
    }
  }

  async #recover(from: string, guest: string, witness: Witness): Promise<void> {
    const at = this.#stage.lab.hosts.filter((host) => host !== from);
    const order = { guest, from, at, withinMs: RECOVERS_MS };
    for (const { host, id, outcome, why } of await recoverInTurns(this.#stage, order, witness)) {
      this.#say(
        `${guest} of ${from}: recovery at ${host} ${outcome}${why === undefined ? '' : `: ${why}`}`,
      );
      if (outcome === 'running') this.violations.push(`the recovery ${id} at ${host} did not end`);
      if (outcome !== 'done') continue;
      this.#recovered += 1;
      const hasRun = witness.spans().some((span) => span.host === host);
      if (!hasRun) this.violations.push(`the recovery ${id} at ${host} is done, and nothing ran`);
    }
  }
}
