import { toGodwitError } from '../../errors.ts';
import { isFault, VsphereClient } from './client.ts';
import { GUEST_PROPERTIES, HOST_PROPERTIES, InventoryLists } from './inventory.ts';
import type { VsphereOptions } from './options.ts';
import type { Ref } from './soap.ts';

/** A whole reading of a great vCenter takes its time, ms. */
const READ_MS = 120_000;
/** Parts in which the vCenter tells one state, at most. */
const MOST_PARTS = 100_000;

interface Following {
  readonly client: VsphereClient;
  readonly collector: Ref;
  readonly lists: InventoryLists;
  version: string;
}

/**
 * The inventory of a vCenter as of now. It is read whole once; after that each look asks only for what has changed. An
 * error forgets all of it, and the next look begins anew: a list is never older than its look.
 */
export class Follower {
  readonly #options: VsphereOptions;
  #following: Following | undefined;
  #looking: Promise<InventoryLists> | undefined;

  constructor(options: VsphereOptions) {
    this.#options = options;
  }

  /** Those who ask at once share one look, which goes on where one of them gives up. */
  async look(signal: AbortSignal): Promise<InventoryLists> {
    signal.throwIfAborted();
    this.#looking ??= this.#again(AbortSignal.timeout(READ_MS)).finally(() => {
      this.#looking = undefined;
    });
    const { promise, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([this.#looking, promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #again(signal: AbortSignal): Promise<InventoryLists> {
    try {
      return await this.#catchUp(signal);
    } catch (thrown) {
      await this.close();
      // What the vCenter kept for an earlier session went with that.
      if (!isFault(thrown, 'ManagedObjectNotFound', 'InvalidCollectorVersion'))
        throw reported(thrown);
    }
    try {
      return await this.#catchUp(signal);
    } catch (thrown) {
      await this.close();
      throw reported(thrown);
    }
  }

  async #catchUp(signal: AbortSignal): Promise<InventoryLists> {
    this.#following ??= await this.#begin(signal);
    const { client, collector, lists } = this.#following;
    for (let part = 0; part < MOST_PARTS; part += 1) {
      const updates = await client.updates(collector, this.#following.version, 0, signal);
      if (updates === undefined) return lists;
      lists.apply(updates.changes);
      this.#following.version = updates.version;
      if (!updates.isTruncated) return lists;
    }
    throw client.unreachable('its inventory has no end');
  }

  async #begin(signal: AbortSignal): Promise<Following> {
    const client = await VsphereClient.open(this.#options, signal);
    try {
      const view = await client.view(['HostSystem', 'VirtualMachine'], signal);
      const properties = { HostSystem: HOST_PROPERTIES, VirtualMachine: GUEST_PROPERTIES };
      const collector = await client.follow(view, properties, signal);
      const lists = new InventoryLists(this.#options.hosts);
      return { client, collector, lists, version: '' };
    } catch (thrown) {
      await client.close();
      throw thrown;
    }
  }

  async close(): Promise<void> {
    const following = this.#following;
    this.#following = undefined;
    await following?.client.close();
  }
}

function reported(thrown: unknown): Error {
  return toGodwitError(thrown);
}
