import {
  flagsOf,
  isGroup,
  kebab,
  type Flag,
  type Spec,
  type Verb,
  type VerbGroup,
} from '../verb.ts';

export type Words =
  | { readonly kind: 'list'; readonly words: readonly string[] }
  /** Queried at completion time, because names change. */
  | { readonly kind: 'names'; readonly of: 'guest' | 'host' | 'migration' | 'context' }
  | { readonly kind: 'files' }
  | { readonly kind: 'nothing' };

export interface Completable {
  /** `migrate`, `pki issue` */
  readonly path: string;
  readonly flags: readonly {
    readonly name: string;
    readonly summary: string;
    readonly value: Words | undefined;
    readonly repeatable?: boolean;
  }[];
  readonly args: readonly Words[];
}

/** Every verb, including those of groups; `groups` has the groups with their verbs. */
export async function completables(
  table: readonly (Verb | VerbGroup)[],
): Promise<{ readonly verbs: Completable[]; readonly groups: Map<string, string[]> }> {
  const verbs: Completable[] = [];
  const groups = new Map<string, string[]>();
  for (const entry of table) {
    if (!isGroup(entry)) {
      verbs.push(completable(entry.spec.name, entry.spec));
      continue;
    }
    const members = await entry.verbs();
    groups.set(
      entry.name,
      members.map(({ spec }) => spec.name),
    );
    verbs.push(...members.map(({ spec }) => completable(`${entry.name} ${spec.name}`, spec)));
  }
  return { verbs, groups };
}

function completable(path: string, spec: Spec): Completable {
  const shown = Object.entries(flagsOf(spec)).filter(([, flag]) => flag.hidden !== true);
  const flags = shown.map(([name, flag]) => {
    const value = flag.kind === 'switch' ? undefined : wordsOf(flag);
    const repeatable = flag.repeatable === true;
    return { name: `--${kebab(name)}`, summary: flag.summary, value, repeatable };
  });
  const help = { name: '--help', summary: 'print the help', value: undefined };
  return { path, flags: [...flags, help], args: Object.values(spec.args ?? {}).map(wordsOf) };
}

function wordsOf(what: Pick<Flag, 'kind' | 'choices'>): Words {
  switch (what.kind) {
    case 'choice':
      return { kind: 'list', words: what.choices ?? [] };
    case 'guest':
    case 'host':
    case 'migration':
    case 'context':
      return { kind: 'names', of: what.kind };
    case 'file':
      return { kind: 'files' };
    case 'text':
    case 'count':
    case 'bytes':
    case 'rate':
    case 'duration':
    case 'switch':
      return { kind: 'nothing' };
  }
}

export function firstWords(
  verbs: readonly Completable[],
  groups: ReadonlyMap<string, readonly string[]>,
): string[] {
  const alone = verbs.map(({ path }) => path).filter((path) => !path.includes(' '));
  return [...alone, ...groups.keys(), 'help'];
}
