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

/** A whole reading of a great vCenter takes its time, ms. */
const READ_MS = 120_000;
/** Parts in which the vCenter reports one state, at most. */
const MAX_PARTS = 100_000;
/** So long the vCenter waits for a change before it answers that there is none, s; and so much later it counts as silent. */
const WAIT_S = 10;
const WAIT_GRACE_MS = 5000;
/** A wait that has not ended by then is to end once more, ms. */
const CANCEL_AGAIN_MS = 100;
/** A collector that cannot be ended within that ends with its session, ms. */
const CLOSE_MS = 2000;

interface Following {
  readonly client: VsphereClient;
  readonly collector: Ref;
  readonly lists: InventoryLists;
  version: string;
}

/**
 * The inventory of a vCenter as of now. It is read whole once; after that the vCenter reports what has changed. An error
 * forgets all of it, and the next look begins anew: a list is never older than its look.
 */
export class Follower {
  readonly #options: VsphereOptions;
  #following: Following | undefined;
  #looking: Promise<InventoryLists> | undefined;
  /** A vCenter answers one wait of a collector at a time. */
  #waiting: Promise<void> | undefined;

  constructor(options: VsphereOptions) {
    this.#options = options;
  }

  /** Those who ask at once share one look, which goes on where one of them gives up. */
  async look(signal: AbortSignal): Promise<InventoryLists> {
    signal.throwIfAborted();
    this.#looking ??= this.#again(AbortSignal.timeout(READ_MS)).finally(() => {
      this.#looking = undefined;
    });
    return settled(this.#looking, signal);
  }

  /** What is known, where the vCenter has been asked to report each change; else a look. */
  async known(signal: AbortSignal): Promise<InventoryLists> {
    if (this.#waiting !== undefined && this.#following !== undefined) return this.#following.lists;
    return this.look(signal);
  }

  /** Resolves once something has changed, a look has cut the wait short, or nothing has changed for long. */
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
      // A look has asked for the end of it.
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
      // What the vCenter kept for an earlier session went with that.
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
    // The wait has a connection of its own, and a vCenter that hears of its end first ends nothing: it is asked again.
    while (goesOn && this.#following === following) {
      try {
        await client.call('CancelWaitForUpdates', collector, [], signal);
      } catch (thrown) {
        // The wait has failed, and has closed what it waited on.
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

/** What a promise comes to, for as long as the signal lets it: others may wait for the same. */
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
