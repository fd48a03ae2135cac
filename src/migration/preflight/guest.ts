import { godwitError, type GodwitError } from '../../errors.ts';
import { haltHint, haltedWords, type Halt } from '../guest-changes/run-states.ts';
import type { CapabilityFacts } from './capabilities.ts';
import { passes, refuses, type Finding } from './finding.ts';
import type { LimitsFacts } from './limits.ts';
import type { WorkloadFacts } from './workload.ts';
import type { GuestRunState } from '../../protocol/public/hosts/host.ts';
import type { Phase } from '../../protocol/public/migration.ts';

export type AskFacts = CapabilityFacts &
  LimitsFacts &
  GuestFacts &
  BusyFacts &
  OutgoingFacts &
  WorkloadFacts;

export interface GuestFacts {
  readonly guest: string;
  readonly state: GuestRunState;
  readonly halted?: Halt | undefined;
  /** Another program that holds its monitor. */
  readonly manager?: string | undefined;
  readonly reachable: boolean;
  readonly unmovable: readonly string[];
  readonly hint?: string | undefined;
}

export function judgeGuest(facts: GuestFacts): Finding[] {
  const { guest, state, halted, manager, reachable, unmovable, hint } = facts;
  if (manager !== undefined) {
    const advice = hint === undefined ? {} : { hint };
    return [refuses(godwitError('GODWIT_GUEST_MANAGED', { guest, manager }, advice))];
  }
  if (state === 'paused' || state === 'stopped' || state === 'incoming') {
    if (halted === undefined) return [refuses(godwitError('GODWIT_GUEST_STATE', { guest, state }))];
    const why = { guest, state: haltedWords(halted) };
    return [refuses(godwitError('GODWIT_GUEST_STATE', why, { hint: haltHint(halted) }))];
  }
  if (reachable) return [passes(`${guest} is ${state}, and nobody else holds its monitor`)];
  const reason = unmovable[0] ?? 'its driver found no way to take hold of it';
  const advice = { hint: hint ?? `\`godwit guest ${guest}\` shows what its driver found.` };
  return [refuses(godwitError('GODWIT_CAPABILITY', { what: `to move ${guest}`, reason }, advice))];
}

export interface BusyFacts {
  readonly guest: string;
  readonly diskMove?:
    | { readonly id: string; readonly device: string; readonly held?: GodwitError }
    | undefined;
  readonly migration?:
    | { readonly id: string; readonly to: string; readonly phase: Phase }
    | undefined;
}

export function judgeBusy({ guest, diskMove, migration }: BusyFacts): Finding[] {
  if (diskMove !== undefined) {
    const { held, id, device } = diskMove;
    return [refuses(held ?? godwitError('GODWIT_DISK_MOVING', { guest, id, device }))];
  }
  if (migration !== undefined) {
    return [refuses(godwitError('GODWIT_GUEST_BUSY', { guest, ...migration }))];
  }
  return [passes('no migration of it, and no move of a disk of it, is under way')];
}

export interface OutgoingFacts {
  readonly host: string;
  readonly running: number;
  readonly limit: number;
}

export function judgeOutgoing({ host, running, limit }: OutgoingFacts): Finding[] {
  if (running < limit) return [passes(`${running} of ${limit} leave ${host} now`)];
  const what = `${host}, in migrations from it at once,`;
  const hint = `Wait for some of them to end, or raise \`limits.migrationsOut\` of ${host}.`;
  return [refuses(godwitError('GODWIT_OVERLOADED', { what, limit }, { hint }))];
}
