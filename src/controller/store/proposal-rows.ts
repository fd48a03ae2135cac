import { sql } from 'kysely';
import {
  policySettings,
  proposal as proposalShape,
  policyLook,
  type Policy,
  type PolicySettings,
  type Proposal,
  policyKind,
} from '../../protocol/controller/policy.ts';
import { subjectOf } from '../policy/proposals.ts';
import type { Tables } from './tables.ts';
import type { Db } from './request-rows.ts';

export const readProposal = (body: string): Proposal => proposalShape.parse(JSON.parse(body));

export function readPolicy(row: Tables['policies']): Policy {
  const { kind, scope, body, set_by: setBy, set_at: setAtMs, look } = row;
  return {
    kind: policyKind.parse(kind),
    scope,
    ...policySettings.parse(JSON.parse(body)),
    setBy,
    setAtMs,
    ...(look === null ? {} : { look: policyLook.parse(JSON.parse(look)) }),
  };
}

export function settingsOf(policy: Policy): PolicySettings {
  const { kind: _kind, scope: _scope, setBy: _by, setAtMs: _at, look: _look, ...settings } = policy;
  return settings;
}

/**
 * Locks a proposal until the transaction ends. Without the lock, PostgreSQL returns the state before an uncommitted
 * write, which would then be overwritten.
 */
export async function lockProposal(db: Db, id: string): Promise<void> {
  await db
    .updateTable('proposals')
    .set({ settled: sql<number>`settled` })
    .where('id', '=', id)
    .execute();
}

/** `settled`: no look changes it any more. */
export async function writeProposal(db: Db, proposal: Proposal, settled: boolean): Promise<void> {
  const { id, kind, scope, run, state, createdAtMs } = proposal;
  const now = { state, body: JSON.stringify(proposal), settled: settled ? 1 : 0 };
  await db
    .insertInto('proposals')
    .values({ id, kind, scope, run, subject: subjectOf(proposal), created_at: createdAtMs, ...now })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(now))
    .execute();
}
