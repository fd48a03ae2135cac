import { otherHost, type MoverRequest } from '../../protocol/mover/request.ts';

interface EndedMigration {
  readonly request: Pick<MoverRequest, 'side' | 'fromHost' | 'toHost'>;
}

/**
 * Of `ended`, oldest first, those to go so that `most` are left: each the oldest of the host that has most of them just
 * then. So a host that begins many loses its own, and another's only once that has more. Pure.
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
