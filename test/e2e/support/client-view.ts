/** A guest as its client and its own memory see a move: nothing may tell them that it took place. */
import assert from 'node:assert/strict';
import { startGuest, type GuestRequest } from '../../../lab/guest/start.ts';
import { verifyGuest } from '../../../lab/guest/talk.ts';
import { openProbe, type ClientView } from '../../../lab/probe/probe.ts';
import { runningOn } from '../../../lab/witness/qemus.ts';
import { withGuestStory } from './guest-story.ts';
import type { World } from './world.ts';

/** Seldom enough that emulated guests on a busy machine answer as fast as they are asked. */
const INTERVAL_MS = 10;

const MIB = 1024 ** 2;

export interface WatchedGuest {
  readonly name: string;
  /**
   * Does `work` and then sees that the guest runs on `host` and nowhere else, that its client still has the connection
   * with no byte lost or doubled, and that its memory is what it was. Returns what the client saw meanwhile.
   */
  unharmed(host: string, work: () => Promise<unknown>): Promise<ClientView>;
}

/** Keeps the checksum of a running guest's memory, to compare it with after each move. */
export async function watchGuest(
  { lab }: World,
  name: string,
  { intervalMs = INTERVAL_MS } = {},
): Promise<WatchedGuest> {
  const verify = () => withGuestStory(lab, name, () => verifyGuest(lab, name));
  const { hash, ok } = await verify();
  assert.equal(ok, true);
  return {
    name,
    unharmed: async (host, work) => {
      // A connection for each move: the client's window shrinks with every loss, and the lab's has no short timer.
      const probe = await openProbe(lab, name, { intervalMs });
      try {
        await probe.mark();
        await work();
        const view = await withGuestStory(lab, name, () => probe.settle(30_000));
        assert.equal(view.connectionKept, true, JSON.stringify(view));
        assert.deepEqual(await runningOn(lab, name), [host]);
        const found = await verify();
        assert.partialDeepStrictEqual(found, { ok: true, hash, badChunks: 0, badDiskChunks: 0 });
        return view;
      } finally {
        await probe.stop();
      }
    },
  };
}

/** Starts web1 on a and watches it: small, and it dirties memory slowly, but for what `change` says otherwise. */
export async function startWatchedGuest(
  world: World,
  change: Partial<GuestRequest> = {},
): Promise<WatchedGuest> {
  const size = { memoryBytes: 192 * MIB, workingSetBytes: 16 * MIB };
  const usual = { name: 'web1', host: 'a', ...size, dirtyBytesPerSecond: 2 * MIB };
  const { name } = await startGuest(world.lab, { ...usual, ...change });
  return watchGuest(world, name);
}
