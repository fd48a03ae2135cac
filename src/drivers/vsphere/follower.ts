import { systemClock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import { isFault, VsphereClient } from './client.ts';
import {
  CLUSTER_PROPERTIES,
  GUEST_PROPERTIES,
  InventoryLists,
  LISTED_HOST_PROPERTIES,
} from './inventory.ts';
import type { VsphereOptions } from './options.ts';
import type { Ref, Updates } from './soap.ts';

/** Time to read a large vCenter completely, ms. */
const READ_MS = 120_000;
/** Limit of the parts in which the vCenter reports one state. */
const MAX_PARTS = 100_000;
/** Longest wait of the vCenter for a change, s, and the grace until it counts as silent, ms. */
const WAIT_S = 10;
const WAIT_GRACE_MS = 5000;
/** Time after which a wait is cancelled again, ms. */
const CANCEL_AGAIN_MS = 100;
/** Time to destroy a collector; after that it ends with its session, ms. */
const CLOSE_MS = 2000;

interface Following {
  readonly client: VsphereClient;
  readonly collector: Ref;
  readonly lists: InventoryLists;
  version: string;
}

/**
 * Present inventory of a vCenter. It is read completely once; then the vCenter reports changes. An error
 * discards it and the next look reads it again, so a list is never older than its look.
 */
export class Follower {
  readonly #options: VsphereOptions;
  #following: Following | undefined;
  #looking: Promise<InventoryLists> | undefined;
  /** A vCenter answers one wait per collector at a time. */
  #waiting: Promise<void> | undefined;

  constructor(options: VsphereOptions) {
    this.#options = options;
  }

  /** Simultaneous callers share one look, which continues if one of them gives up. */
  async look(signal: AbortSignal): Promise<InventoryLists> {
    signal.throwIfAborted();
    this.#looking ??= this.#again(AbortSignal.timeout(READ_MS)).finally(() => {
      this.#looking = undefined;
    });
    return settled(this.#looking, signal);
  }

  /** Last lists if the vCenter reports each change, otherwise a new look. */
  async known(signal: AbortSignal): Promise<InventoryLists> {
    if (this.#waiting !== undefined && this.#following !== undefined) return this.#following.lists;
    return this.look(signal);
  }

  /** Resolves after a change, after a look interrupted the wait, or after a long time without changes. */
  async changed(signal: AbortSignal): Promise<void> {
    if (this.#following === undefined) {
      await this.look(signal);
      return;
    }
    await settled(
      this.#looking?.catch(() => undefined),
      signal,
    );
    this.#waiting ??= this.#wait().finally(() => {
      this.#waiting = undefined;
    });
    await settled(this.#waiting, signal);
  }

  async #wait(): Promise<void> {
    const following = this.#following;
    if (following === undefined) return;
    const { client, collector } = following;
    const signal = AbortSignal.timeout(WAIT_S * 1000 + WAIT_GRACE_MS);
    try {
      for (let part = 0; part < MAX_PARTS; part += 1) {
        const seconds = part === 0 ? WAIT_S : 0;
        const updates = await client.updates(collector, following.version, seconds, signal);
        take(following, updates);
        if (updates?.isTruncated !== true) return;
      }
    } catch (thrown) {
      // A look has cancelled the wait.
      if (isFault(thrown, 'RequestCanceled')) return;
      await this.close();
      if (isFault(thrown, 'ManagedObjectNotFound', 'InvalidCollectorVersion')) return;
      throw toGodwitError(thrown);
    }
  }

  async #again(signal: AbortSignal): Promise<InventoryLists> {
    try {
      return await this.#catchUp(signal);
    } catch (thrown) {
      await this.close();
      // Objects of an earlier session ended with it.
      if (!isFault(thrown, 'ManagedObjectNotFound', 'InvalidCollectorVersion'))
        throw toGodwitError(thrown);
    }
    try {
      return await this.#catchUp(signal);
    } catch (thrown) {
      await this.close();
      throw toGodwitError(thrown);
    }
  }

  async #catchUp(signal: AbortSignal): Promise<InventoryLists> {
    await this.#endWait(signal);
    this.#following ??= await this.#begin(signal);
    const following = this.#following;
    const { client, collector, lists } = following;
    for (let part = 0; part < MAX_PARTS; part += 1) {
      const updates = await client.updates(collector, following.version, 0, signal);
      take(following, updates);
      if (updates?.isTruncated !== true) return lists;
    }
    throw client.unreachable('its inventory has no end');
  }

  async #endWait(signal: AbortSignal): Promise<void> {
    const [waiting, following] = [this.#waiting, this.#following];
    if (waiting === undefined || following === undefined) return;
    const { client, collector } = following;
    let goesOn = true;
    const over = waiting
      .catch(() => undefined)
      .then(() => {
        goesOn = false;
      });
    // The wait uses a separate connection. If the cancellation arrives first, it has no effect, so it is
    // repeated.
    while (goesOn && this.#following === following) {
      try {
        await client.call('CancelWaitForUpdates', collector, [], signal);
      } catch (thrown) {
        // The wait failed and has closed its collector.
        if (this.#following === following) throw thrown;
      }
      await Promise.race([over, systemClock.sleep(CANCEL_AGAIN_MS, signal)]);
    }
    await over;
  }

  async #begin(signal: AbortSignal): Promise<Following> {
    const client = await VsphereClient.open(this.#options, signal);
    try {
      const properties = {
        ClusterComputeResource: CLUSTER_PROPERTIES,
        HostSystem: LISTED_HOST_PROPERTIES,
        VirtualMachine: GUEST_PROPERTIES,
      };
      const view = await client.view(Object.keys(properties), signal);
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
    if (following === undefined) return;
    const { client, collector } = following;
    await client.unfollow(collector, AbortSignal.timeout(CLOSE_MS));
    await client.close();
  }
}

function take(following: Following, updates: Updates | undefined): void {
  if (updates === undefined) return;
  following.lists.apply(updates.changes);
  following.version = updates.version;
}

/** Result of a promise, limited by the signal; other callers may share the promise. */
async function settled<T>(work: Promise<T> | undefined, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work as Promise<T>, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
