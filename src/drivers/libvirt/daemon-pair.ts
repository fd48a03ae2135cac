import { godwitError, type GodwitError } from '../../errors.ts';
import { LibvirtClient, type Domain } from './client.ts';
import { isMigrating } from './job.ts';
import { MARK, parseMark, type Mark } from './mark.ts';
import { uriOf, type LibvirtOptions } from './options.ts';
import { LibvirtRefusal } from './rpc/connection.ts';
import type { Outcome } from './task.ts';
import type { Sight } from './whereabouts.ts';

export interface LibvirtHost {
  readonly name: string;
  readonly options: LibvirtOptions;
  readonly uri: string;
  /** Outcomes of the tasks that this process has ordered, by migration id. */
  readonly outcomes: Map<string, Outcome>;
  readonly hear: Set<() => void>;
}

/** One domain at both daemons: connected to the source from the start, and to the destination once it is named. */
export class DaemonPair {
  readonly host: LibvirtHost;
  readonly source: LibvirtClient;
  readonly #uuid: string;
  #destination: { readonly host: string; readonly client: LibvirtClient } | undefined;

  private constructor(host: LibvirtHost, uuid: string, source: LibvirtClient) {
    this.host = host;
    this.#uuid = uuid;
    this.source = source;
  }

  static async open(host: LibvirtHost, uuid: string, signal: AbortSignal): Promise<DaemonPair> {
    const source = await LibvirtClient.open(host.uri, host.options.credentials, signal);
    return new DaemonPair(host, uuid, source);
  }

  /** Separate connection to the source, for a call that outlives the session. */
  another(signal: AbortSignal): Promise<LibvirtClient> {
    return LibvirtClient.open(this.host.uri, this.host.options.credentials, signal);
  }

  async destination(to: string, signal: AbortSignal): Promise<LibvirtClient> {
    if (this.#destination?.host === to) return this.#destination.client;
    const { options } = this.host;
    const client = await LibvirtClient.open(uriOf(options, to), options.credentials, signal);
    this.#destination?.client.close();
    this.#destination = { host: to, client };
    return client;
  }

  domain(client: LibvirtClient, signal: AbortSignal): Promise<Domain | undefined> {
    return client.domain({ uuid: this.#uuid }, signal);
  }

  async running(client: LibvirtClient, signal: AbortSignal): Promise<Domain | undefined> {
    const domain = await this.domain(client, signal);
    return domain?.id === -1 ? undefined : domain;
  }

  /** Domain and its mark, if it runs at that daemon as part of a migration. */
  async marked(
    client: LibvirtClient,
    id: string,
    signal: AbortSignal,
  ): Promise<{ readonly domain: Domain; readonly mark: Mark } | undefined> {
    const domain = await this.running(client, signal);
    if (domain === undefined) return undefined;
    const mark = parseMark(await client.metadata(domain, MARK, signal));
    return mark?.id === id ? { domain, mark } : undefined;
  }

  async sight(client: LibvirtClient, signal: AbortSignal): Promise<Sight> {
    try {
      const domain = await this.domain(client, signal);
      return domain === undefined ? 'absent' : await client.state(domain, signal);
    } catch {
      return 'silent';
    }
  }

  /** Undefined if the source does not answer. */
  async isMoving(signal: AbortSignal): Promise<boolean | undefined> {
    try {
      const domain = await this.running(this.source, signal);
      return domain !== undefined && isMigrating(await this.source.job(domain, signal));
    } catch {
      return undefined;
    }
  }

  close(): void {
    this.source.close();
    this.#destination?.client.close();
    this.#destination = undefined;
  }

  /** Converts libvirt's refusal to Godwit's error, with libvirt's message and the refusal as cause. */
  async reported<T>(command: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      if (!(thrown instanceof LibvirtRefusal)) throw thrown;
      throw this.refused(command, thrown.message, thrown);
    }
  }

  refused(command: string, reason: string, cause?: LibvirtRefusal): GodwitError {
    const facts = { hypervisor: 'libvirt', host: this.host.name, command, reason };
    return godwitError('GODWIT_HYPERVISOR', facts, cause === undefined ? {} : { cause });
  }
}
