import { auditMeans, type AuditEntry, type auditRoutes } from '../../protocol/controller/audit.ts';
import { cursorAt, timeKeyIn } from '../../protocol/public/page.ts';
import type { Handlers } from '../../rpc/server.ts';
import type { Audit } from '../audit/audit.ts';
import { momentOf } from '../inventory/answers.ts';
import type { AuditRow } from '../store/tables.ts';

export interface AuditApi {
  readonly audit: Audit;
}

export function auditHandlers({ audit }: AuditApi): Handlers<typeof auditRoutes> {
  return {
    audit: async ({ query: { limit, cursor, since, who, what } }) => {
      await audit.settled();
      const sinceMs = since === undefined ? undefined : Date.parse(since);
      const after = cursor === undefined ? undefined : timeKeyIn(cursor);
      const found = await audit.rows.list({ who, what, sinceMs, after }, limit + 1);
      const page = found.slice(0, limit);
      const last = page.at(-1);
      const entries = page.map(entryOf);
      if (last === undefined || found.length <= limit) return { entries };
      return { entries, next: cursorAt([String(last.at), last.id]) };
    },
  };
}

function entryOf(row: AuditRow): AuditEntry {
  const { id, at, controller, who, role, by, from, what, route } = row;
  const { arguments: given, result, unkept } = row;
  return {
    id,
    at: momentOf(at),
    controller,
    who,
    role,
    what,
    route,
    by: auditMeans.parse(by),
    ...(from === null ? {} : { from }),
    ...(given === null ? {} : { arguments: given }),
    ...(result === null ? {} : { result }),
    ...(unkept === 0 ? {} : { unkept }),
  };
}
