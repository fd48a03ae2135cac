import { toast } from '../base/toasts.ts';
import { opened } from '../fleet/fleet.ts';
import { undrain } from './requests.ts';

/** Opens a host to guests again, and shows it at once: the next overview may be seconds away. Throws Problem. */
export async function endDrain(host: string): Promise<void> {
  await undrain(host);
  opened(host);
  toast({
    words: `The drain of ${host} has ended. Guests may move there again.`,
    link: { href: `/hosts/${encodeURIComponent(host)}`, words: 'Show the host' },
  });
}
