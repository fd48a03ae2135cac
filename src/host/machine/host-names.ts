import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { withDeadline } from '../../deadline.ts';

/** Name servers answer in milliseconds; longer ones count as down. */
const ANSWER_MS = 2000;

/** IP addresses of a name; rejects if there are none. */
export type ResolveName = (name: string) => Promise<string[]>;

export const resolveName: ResolveName = async (name) =>
  (await lookup(name, { all: true })).map(({ address }) => address);

/**
 * All IP addresses of hosts given by address or name, and the names that were not resolved in time. Rejects only by the
 * signal.
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
