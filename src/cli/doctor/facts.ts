import type { ConfigProblem } from '../../agent/config-check.ts';
import type { Trust } from '../../protocol/public/trust.ts';

/** What was found on this host; `undefined` where it could not be found out. Plain data, judged by judge.ts. */
export interface Facts {
  readonly nodeVersion: string;
  readonly root: boolean;
  /** May this user make user namespaces (`unshare -Urnm true`)? The words of the refusal when not. */
  readonly userNamespaces: Attempt;
  readonly hypervisors: readonly HypervisorFact[];
  readonly kvmDevice: Attempt;
  readonly tunDevice: Attempt;
  /** Value of vm.unprivileged_userfaultfd. */
  readonly unprivilegedUserfaultfd: string | undefined;
  /** Programs that were looked for on the PATH. */
  readonly tools: Readonly<Record<string, boolean>>;
  readonly bridges: readonly string[];
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number } | undefined;
  readonly ports: { readonly from: number; readonly to: number; readonly free: number };
  readonly clock: { readonly synchronized: boolean; readonly by: string } | undefined;
  readonly openFiles: { readonly soft: number; readonly hard: number } | undefined;
  /** The lab's guest kernel, busybox and modules, as setup brings them; absent where the program has no lab. */
  readonly guestImage?: { readonly folder: string; readonly ready: boolean } | undefined;
  /** Agents that answer, by label, or why none does. */
  readonly agent: { readonly answering: readonly string[]; readonly problem: string | undefined };
  readonly config: ConfigFact;
  readonly certificates: readonly CertificateFact[];
  /** Of each agent that answers and can say. */
  readonly trust: readonly TrustFact[];
  /** Why the fleet's list of the configuration's host cannot be used, as it lies on disk. */
  readonly damagedList?: string | undefined;
}

export interface TrustFact extends Pick<
  Trust,
  'host' | 'listProblem' | 'authoritiesProblem' | 'twoHolders' | 'refusals'
> {
  /** Until its certificate expires. */
  readonly daysLeft: number;
  /** Renewals that failed, and why the last of them did. */
  readonly failures: number;
  readonly problem?: string | undefined;
  readonly list?: { readonly number: number; readonly ageDays: number; readonly leftDays: number };
}

export type Attempt = { readonly ok: true } | { readonly ok: false; readonly reason: string };

export interface HypervisorFact {
  readonly binary: string;
  /** `7.2.22`; absent when the program did not say. */
  readonly version: string | undefined;
  /** A machine made with `-accel kvm`, and ended again. */
  readonly kvm: Attempt;
  /** QEMU accepts the post-copy capability, for which it tries userfaultfd. */
  readonly postcopy: Attempt;
}

export type ConfigFact =
  | {
      readonly file: string;
      readonly state: 'read';
      readonly pkiDir: string;
      /** What an agent would meet with it. */
      readonly problems: readonly ConfigProblem[];
    }
  | { readonly file: string; readonly state: 'absent' }
  | { readonly file: string; readonly state: 'wrong'; readonly reason: string };

export interface CertificateFact {
  readonly file: string;
  readonly subject?: string;
  /** Days until it expires; negative when it has. */
  readonly daysLeft?: number;
  /** For how many days it was made. */
  readonly lifeDays?: number;
  /** Why it could not be read. */
  readonly problem?: string;
}

export type Verdict = 'ok' | 'warn' | 'fail';

/** One line of `godwit doctor`. */
export interface Finding {
  readonly name: string;
  readonly verdict: Verdict;
  readonly found: string;
  readonly hint?: string | undefined;
}
