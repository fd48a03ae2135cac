/** A guest as its client and its own memory see a move: nothing may tell them that it took place. */
import assert from 'node:assert/strict';
import { verifyGuest } from '../../../src/lab/guest/talk.ts';
import { openProbe } from '../../../src/lab/probe/probe.ts';
import type { ClientView } from '../../../src/lab/probe/probe.ts';
import { runningOn } from '../../../src/lab/witness/qemus.ts';
import type { World } from './world.ts';

export interface WatchedGuest {
  readonly name: string;
  /**
   * Does `work` and then sees that the guest runs on `host` and nowhere else, that its client still has the connection
   * with no byte lost or doubled, and that its memory is what it was. Returns what the client saw meanwhile.
   */
  unharmed(host: string, work: () => Promise<unknown>): Promise<ClientView>;
}

/** Connects a client to a running guest, which says something every `intervalMs`, and keeps the checksum of its memory. */
export async function watchGuest(
  { lab }: World,
  name: string,
  { intervalMs = 3 } = {},
): Promise<WatchedGuest> {
  const probe = await openProbe(lab, name, { intervalMs });
  const { hash, ok } = await verifyGuest(lab, name);
  assert.equal(ok, true);
  return {
    name,
    unharmed: async (host, work) => {
      await probe.mark();
      await work();
      const view = await probe.settle(20_000);
      assert.equal(view.connectionKept, true, JSON.stringify(view));
      assert.deepEqual(await runningOn(lab, name), [host]);
      assert.deepEqual(await verifyGuest(lab, name), { ok: true, hash, badChunks: 0 });
      return view;
    },
  };
}
