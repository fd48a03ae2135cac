import { namespaceOf } from './plan.ts';

/**
 * How one gets into a lab. As root its namespaces are named ones of the machine; otherwise they
 * live in a user namespace of the lab's own, kept by a holder process.
 */
export type LabEntry =
  | { readonly kind: 'root' }
  | { readonly kind: 'user'; readonly holderPid: number; readonly holderStartTicks: number };

/** The command line that runs `argv` as the lab's root, in no particular host. */
export function inLab(entry: LabEntry, argv: readonly string[]): string[] {
  if (entry.kind === 'root') return [...argv];
  const target = String(entry.holderPid);
  return ['nsenter', '--preserve-credentials', '-U', '-n', '-m', '-t', target, ...argv];
}

/** The command line that runs `argv` in one of the lab's network namespaces, by the namespace's name. */
export function inNamespace(entry: LabEntry, namespace: string, argv: readonly string[]): string[] {
  return inLab(entry, ['ip', 'netns', 'exec', namespace, ...argv]);
}

/**
 * The command line that runs `argv` on a host of the lab (or on `client` or `switch`).
 * The process started is `argv` itself: every program on the way replaces itself.
 */
export function inHost(
  lab: { readonly name: string; readonly entry: LabEntry },
  host: string,
  argv: readonly string[],
): string[] {
  return inNamespace(lab.entry, namespaceOf(lab.name, host), argv);
}
