import type { ConfigProblem } from '../../agent/config-check.ts';
import type { Trust } from '../../protocol/public/trust.ts';

/** Facts about this host; `undefined`: unknown. judge.ts judges them. */
export interface Facts {
  readonly nodeVersion: string;
  readonly root: boolean;
  /** Whether this user can create user namespaces (`unshare -Urnm true`), or the refusal. */
  readonly userNamespaces: Attempt;
  readonly hypervisors: readonly HypervisorFact[];
  readonly kvmDevice: Attempt;
  readonly tunDevice: Attempt;
  readonly unprivilegedUserfaultfd: string | undefined;
  readonly tools: Readonly<Record<string, boolean>>;
  readonly bridges: readonly string[];
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number } | undefined;
  readonly ports: { readonly from: number; readonly to: number; readonly free: number };
  readonly clock: { readonly synchronized: boolean; readonly by: string } | undefined;
  readonly openFiles: { readonly soft: number; readonly hard: number } | undefined;
  /** The lab's guest kernel, busybox and modules from setup; absent if the program has no lab. */
  readonly guestImage?: { readonly folder: string; readonly ready: boolean } | undefined;
  readonly agent: { readonly answering: readonly string[]; readonly problem: string | undefined };
  readonly config: ConfigFact;
  readonly certificates: readonly CertificateFact[];
  /** Facts from each agent that answers and supports it. */
  readonly trust: readonly TrustFact[];
  readonly damagedList?: string | undefined;
}

export interface TrustFact extends Pick<
  Trust,
  'host' | 'listProblem' | 'authoritiesProblem' | 'twoHolders' | 'refusals'
> {
  /** Until its certificate expires. */
  readonly daysLeft: number;
  /** Failed renewals, and the last one's reason. */
  readonly failures: number;
  readonly problem?: string | undefined;
  readonly list?: { readonly number: number; readonly ageDays: number; readonly leftDays: number };
}

export type Attempt = { readonly ok: true } | { readonly ok: false; readonly reason: string };

export interface HypervisorFact {
  readonly binary: string;
  readonly version: string | undefined;
  readonly kvm: Attempt;
  /** QEMU accepts the post-copy capability, which requires userfaultfd. */
  readonly postcopy: Attempt;
}

export type ConfigFact =
  | {
      readonly file: string;
      readonly state: 'read';
      readonly pkiDir: string;
      readonly problems: readonly ConfigProblem[];
    }
  | { readonly file: string; readonly state: 'absent' }
  | { readonly file: string; readonly state: 'wrong'; readonly reason: string };

export interface CertificateFact {
  readonly file: string;
  readonly subject?: string;
  /** Days until it expires; negative when it has. */
  readonly daysLeft?: number;
  /** Total validity in days. */
  readonly lifeDays?: number;
  readonly problem?: string;
}

export type Verdict = 'ok' | 'warn' | 'fail';

export interface Finding {
  readonly name: string;
  readonly verdict: Verdict;
  readonly found: string;
  readonly hint?: string | undefined;
}
