import { z } from 'zod';
import type { FreePageHints } from '../../migration/preflight/free-pages.ts';
import { balloonDevice } from './balloon.ts';
import { getScalar } from './guest/qom.ts';
import type { QmpClient } from './qmp/client.ts';

const FEATURE = 'VIRTIO_BALLOON_F_FREE_PAGE_HINT';

const virtioStatus = z.object({
  'guest-features': z.object({ 'dev-features': z.array(z.string().max(1024)).max(256) }),
});

/**
 * Whether QEMU asks the driver of the guest’s balloon which pages are free, to leave them out of pre-copy, and the driver has
 * agreed to answer; undefined: QEMU does not ask. Changes nothing.
 */
export async function freePageHints(
  client: Pick<QmpClient, 'request'>,
  signal: AbortSignal,
): Promise<FreePageHints | undefined> {
  const device = await balloonDevice(client, signal);
  if (device === undefined) return undefined;
  if ((await getScalar(client, device, 'free-page-hint', signal)) !== true) return undefined;
  // Not a stable command of QEMU's: where it is another one day, nobody knows.
  const path = `${device}/virtio-backend`;
  const answer = await client.request('x-query-virtio-status', { path }, signal);
  const status = virtioStatus.safeParse(answer.ok ? answer.value : undefined);
  if (!status.success) return 'unknown';
  const agreed = status.data['guest-features']['dev-features'];
  return agreed.some((feature) => feature.startsWith(FEATURE)) ? 'given' : 'not-given';
}
