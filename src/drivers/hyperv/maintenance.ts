import { godwitError } from '../../errors.ts';
import type { MaintenanceSight } from '../../protocol/public/hosts/managed-host.ts';
import type { HostMaintenance } from '../../port/managed.ts';
import type { Answers } from './answers.ts';
import { HypervHost } from './host.ts';
import { sightOfNode } from './node-sight.ts';
import type { HypervOptions } from './options.ts';

/** The cluster drains a clustered host: `Suspend-ClusterNode -Drain`. Never tested with a real one. */
export class HypervMaintenance implements HostMaintenance {
  readonly #host: string;
  readonly #options: HypervOptions;

  constructor(host: string, options: HypervOptions) {
    this.#host = host;
    this.#options = options;
  }

  /** The cluster always moves stopped roles, too, whatever the order. */
  async enter(
    host: string,
    _order: { readonly stopped: boolean },
    signal: AbortSignal,
  ): Promise<MaintenanceSight> {
    const sight = sightOfNode(await this.#node(host, 'pause', signal));
    // The node does not show the order yet.
    return sight.failed?.cancelled === true ? { state: 'entering' } : sight;
  }

  async look(host: string, signal: AbortSignal): Promise<MaintenanceSight> {
    return sightOfNode(await this.#node(host, 'look', signal));
  }

  async leave(host: string, signal: AbortSignal): Promise<MaintenanceSight> {
    const { state } = await this.#node(host, 'resume', signal);
    return { state: state === 'Paused' ? 'leaving' : 'out' };
  }

  async #node(
    host: string,
    what: 'look' | 'pause' | 'resume',
    signal: AbortSignal,
  ): Promise<Answers['node']> {
    if (host !== this.#host) throw godwitError('GODWIT_HOST_UNKNOWN', { host });
    const asked = await HypervHost.open(this.#host, this.#options, this.#options);
    try {
      return await asked.ask('node', { what }, signal);
    } finally {
      asked.close();
    }
  }
}
