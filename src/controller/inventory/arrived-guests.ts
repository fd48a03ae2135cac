import { guestInfo, type GuestInfo } from '../../protocol/public/host.ts';
import { isSuperseded } from '../../protocol/public/moving.ts';
import type { Store } from '../store/open.ts';

/** Names of one query. */
const AT_ONCE = 500;

/** Of guests that left their hosts, those that another host reports, whichever controller follows that host. */
export async function arrivedOf(
  { db }: Pick<Store, 'db'>,
  left: readonly GuestInfo[],
): Promise<Set<GuestInfo>> {
  const names = [...new Set(left.map(({ name }) => name))];
  const reports: GuestInfo[] = [];
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const some = names.slice(at, at + AT_ONCE);
    const rows = db.selectFrom('guests').select('info').where('name', 'in', some);
    for (const { info } of await rows.execute()) reports.push(guestInfo.parse(JSON.parse(info)));
  }
  const byName = Map.groupBy(reports, ({ name }) => name);
  const hasArrived = (guest: GuestInfo): boolean => {
    const others = (byName.get(guest.name) ?? []).filter(({ host }) => host !== guest.host);
    return isSuperseded(guest, others);
  };
  return new Set(left.filter(hasArrived));
}
