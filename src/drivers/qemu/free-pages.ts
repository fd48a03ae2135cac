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
 * True if QEMU asks the guest's balloon driver for free pages, to skip them in pre-copy, and the driver agreed.
 * Undefined if QEMU does not ask. Changes nothing.
 */
export async function freePageHints(
  client: Pick<QmpClient, 'request'>,
  signal: AbortSignal,
): Promise<FreePageHints | undefined> {
  const device = await balloonDevice(client, signal);
  if (device === undefined) return undefined;
  if ((await getScalar(client, device, 'free-page-hint', signal)) !== true) return undefined;
  // This QEMU command is not stable; an unexpected answer means that the state is unknown.
  const path = `${device}/virtio-backend`;
  const answer = await client.request('x-query-virtio-status', { path }, signal);
  const status = virtioStatus.safeParse(answer.ok ? answer.value : undefined);
  if (!status.success) return 'unknown';
  const agreed = status.data['guest-features']['dev-features'];
  return agreed.some((feature) => feature.startsWith(FEATURE)) ? 'given' : 'not-given';
}
