import { guestName } from '../../../protocol/names.ts';

/** What Docker and containerd call a container for short. */
export const SHORT = 12;
/** Of its name, so that both fit into a guest's. */
const MAX_CALLED = 50;

/**
 * What a container that somebody calls by a name is as a guest: names of containers are of one host alone, and many hosts
 * have the same ones. Undefined where that is no name of a guest. Pure.
 */
export function nameAmongHosts(called: string, id: string): string | undefined {
  const name = `${called.slice(0, MAX_CALLED)}-${id.slice(0, SHORT)}`;
  return guestName.safeParse(name).success ? name : undefined;
}
