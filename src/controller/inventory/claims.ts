import { guestInfo, type GuestInfo } from '../../protocol/public/hosts/host.ts';
import { mergeReports } from '../../protocol/public/moving.ts';
import type { GuestRow } from '../store/tables.ts';

export type Claim = Pick<GuestRow, 'host' | 'name' | 'uuid' | 'state' | 'info' | 'changed_at'>;

/** States in which the host runs the guest, or may continue it. */
const RUNS: ReadonlySet<string> = new Set(['running', 'paused', 'migrating']);

/** Both ends of a move report its end within this time. */
export const SETTLED_MS = 10_000;

/** Identity by UUID; without one, by name. */
export function identityOf({ name, uuid }: Pick<Claim, 'name' | 'uuid'>): string {
  return uuid === '' ? `name ${name}` : `uuid ${uuid}`;
}

/**
 * Hosts that claim to run the same guest, sorted; normally at most one. A moving guest is on both its hosts, and fresh
 * changes are not judged yet. Containers of managers have no UUID and are unique only within a host.
 */
export function claimants(
  claims: readonly Claim[],
  nowMs: number,
  settledMs = SETTLED_MS,
): string[] {
  if (claims.length < 2) return [];
  const running = claims.filter((each) => RUNS.has(each.state) && !isManagersOwn(each));
  if (new Set(running.map(({ host }) => host)).size < 2) return [];
  if (running.some(({ changed_at: at }) => nowMs - at < settledMs)) return [];
  const moves = running.map(({ info }) => infoIn(info)?.migration);
  const [first] = moves;
  if (first !== undefined && moves.every((each) => each === first)) return [];
  return [...new Set(running.map(({ host }) => host))].toSorted();
}

export interface MergedRow<R> {
  readonly row: R;
  readonly others: readonly R[];
}

/**
 * One row per guest, in the order of the reports. `rows` has all reports of the guests with those names. Hosts that
 * still claim one guest after the end of a move could be reported keep separate rows, so that no second copy is hidden.
 */
export function mergeRows<R extends Claim>(rows: readonly R[], nowMs: number): MergedRow<R>[] {
  const reported = Map.groupBy(rows, ({ name }) => name);
  const merged = [...reported.values()].flatMap((namesakes): MergedRow<R>[] => {
    const [row, ...more] = namesakes;
    if (row === undefined || more.length === 0)
      return namesakes.map((each) => ({ row: each, others: [] }));
    const reports = namesakes.flatMap((each) => {
      const info = infoIn(each.info);
      return info === undefined ? [] : [{ ...info, host: each.host, of: each }];
    });
    return mergeReports(reports).flatMap((each) => {
      const [of, others] = [each.row.of, each.others.map((other) => other.of)];
      const hosts = new Set(claimants([of, ...others], nowMs));
      if (hosts.size === 0) return [{ row: of, others }];
      const claiming = [of, ...others].filter(({ host }) => hosts.has(host));
      const silent = others.filter(({ host }) => !hosts.has(host));
      return claiming.map((each, at) => ({ row: each, others: at === 0 ? silent : [] }));
    });
  });
  const byRow = new Map(merged.map((each) => [each.row, each]));
  return rows.flatMap((each) => byRow.get(each) ?? []);
}

const isManagersOwn = ({ uuid, info }: Claim): boolean =>
  uuid === '' && infoIn(info)?.manager !== undefined;

function infoIn(info: string): GuestInfo | undefined {
  return guestInfo.safeParse(JSON.parse(info)).data;
}
