import { otherHost, type MoverRequest } from '../../protocol/mover/request.ts';

interface EndedMigration {
  readonly request: Pick<MoverRequest, 'side' | 'fromHost' | 'toHost'>;
}

/**
 * Selects which of `ended` (oldest first) to remove so that `most` are left. Each is the oldest of the host with most
 * records at that point, so a host with many migrations loses its own first. Pure.
 */
export function surplus<M extends EndedMigration>(ended: readonly M[], most: number): M[] {
  const hosts = new Map<string, M[]>();
  for (const each of ended) {
    const host = `${each.request.side} ${otherHost(each.request)}`;
    const own = hosts.get(host);
    if (own === undefined) hosts.set(host, [each]);
    else own.push(each);
  }
  const gone: M[] = [];
  for (let count = ended.length; count > most; count -= 1) {
    let largest: M[] = [];
    for (const own of hosts.values()) if (own.length > largest.length) largest = own;
    const oldest = largest.shift();
    if (oldest !== undefined) gone.push(oldest);
  }
  return gone;
}
