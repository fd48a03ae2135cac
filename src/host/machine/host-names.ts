import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { withDeadline } from '../../deadline.ts';

/** The answer of a name server comes in milliseconds; one that is gone is not waited for. */
const ANSWER_MS = 2000;

/** The IP addresses of a name; rejects where there is none. */
export type ResolveName = (name: string) => Promise<string[]>;

export const resolveName: ResolveName = async (name) =>
  (await lookup(name, { all: true })).map(({ address }) => address);

/**
 * All IP addresses of hosts that are known by IP address or by name, and the names of which nobody says one in time.
 * Rejects by the signal alone.
 */
export async function ipsOf(
  hosts: readonly string[],
  signal: AbortSignal,
  resolve: ResolveName = resolveName,
): Promise<{ readonly ips: string[]; readonly unresolved: string[] }> {
  const names = [...new Set(hosts)];
  const all = await Promise.all(
    names.map(async (name) => {
      if (isIP(name) !== 0) return [name];
      try {
        return await withDeadline(`the name ${name}`, ANSWER_MS, signal, () => resolve(name));
      } catch {
        signal.throwIfAborted();
        return [];
      }
    }),
  );
  return {
    ips: all.flat(),
    unresolved: names.filter((_, index) => all[index]?.length === 0),
  };
}
