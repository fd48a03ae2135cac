/** What the tests of containers look at, whatever those hold. */
import assert from 'node:assert/strict';
import { openProbe, type ClientView } from '../../../lab/probe/probe.ts';
import { containerLeftovers } from '../../../lab/witness/containers.ts';
import { until } from '../../until.ts';
import type { World } from './world.ts';

/** While `work` is done, a client keeps the TCP connection that it has to the container. */
export async function keepsConnection(
  { lab }: World,
  name: string,
  work: () => Promise<unknown>,
): Promise<ClientView> {
  const probe = await openProbe(lab, name, { intervalMs: 10 });
  try {
    await probe.mark();
    await work();
    const view = await probe.settle(60_000);
    assert.equal(view.connectionKept, true, JSON.stringify(view));
    return view;
  } finally {
    await probe.stop();
  }
}

/** Resolves once no process, mount or directory of a container is left on that host. */
export async function untilNoneLeft({ lab }: World, host: string): Promise<void> {
  await until(`nothing left on ${host}`, 10_000, async () =>
    (await containerLeftovers(lab, host)).length === 0 ? true : undefined,
  );
}
