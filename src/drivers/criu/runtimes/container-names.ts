import { guestName } from '../../../protocol/names.ts';

/** Length of the short id in Docker and containerd. */
export const SHORT = 12;
/** Length of the name, so that both fit into a guest's name. */
const MAX_CALLED = 50;

/**
 * Guest name of a named container. Container names are unique only on their host, and many hosts have the same
 * ones. Undefined if the result is not a valid guest name. Pure.
 */
export function nameAmongHosts(called: string, id: string): string | undefined {
  const name = `${called.slice(0, MAX_CALLED)}-${id.slice(0, SHORT)}`;
  return guestName.safeParse(name).success ? name : undefined;
}
