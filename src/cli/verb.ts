import type { ConnectionFlags, Context } from './context.ts';

/** What a word on the command line stands for; completion and parsing go by it. */
export type WordKind = 'text' | 'file' | 'host' | 'guest' | 'migration' | 'context';
export type NumberKind = 'count' | 'bytes' | 'rate' | 'duration';

export interface Argument {
  readonly kind: WordKind | 'choice';
  readonly summary: string;
  readonly choices?: readonly string[];
  readonly required?: boolean;
  /** The last argument alone: all words that are left arrive, in order. */
  readonly repeatable?: boolean;
}

export type FlagGroup =
  | 'Common'
  | 'When to begin'
  | 'Memory'
  | 'Disks'
  | 'Devices and network'
  | 'Managers'
  | 'Connection';

/**
 * A flag. A `switch` takes no value; a number is given with its unit (`512M`, `1gbit`, `10m`) and
 * arrives as bytes, bytes/s or ms; a `choice` is one of `choices`.
 */
export interface Flag {
  readonly kind: WordKind | NumberKind | 'switch' | 'choice';
  readonly summary: string;
  /** The title under which the help shows it; Common when absent. */
  readonly group?: FlagGroup;
  /** How the value is shown in the help; the kind's own name when absent. */
  readonly value?: string;
  readonly choices?: readonly string[];
  /** Text as it would be typed, shown in the help and used when the flag is absent. */
  readonly preset?: string;
  /** Its one letter. */
  readonly short?: string;
  /** May be given without a value, which then arrives as ''. */
  readonly optionalValue?: boolean;
  readonly hidden?: boolean;
  /** May be given several times; all values arrive, in order. */
  readonly repeatable?: boolean;
}

/** A verb as the user sees it: all that help, completion and docs/cli.md are made from. */
export interface Spec {
  readonly name: string;
  /** Other words for it, as other tools call it. */
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** More than the summary says, for `--help`. */
  readonly details?: string;
  /** In their order on the command line. */
  readonly args?: Readonly<Record<string, Argument>>;
  /** By name in camel case: `maxDowntime` is `--max-downtime`. */
  readonly flags?: Readonly<Record<string, Flag>>;
  /** Command lines without the leading `godwit`. */
  readonly examples: readonly [string, ...string[]];
  /**
   * `agent`: it speaks to agents, at hand or through a controller, and gets --agent, --lab, --host, --manager, --controller,
   * --context and the certificate flags. `host`: the same without a controller, since it is about one host. `controller`: it
   * speaks to a controller alone, and gets those flags that choose one.
   */
  readonly uses?: 'agent' | 'host' | 'controller';
  /** What --json prints, as a name in json-shapes.ts or in words; absent: the verb has no --json. */
  readonly json?: string;
}

type ValueOf<F extends Flag | Argument> = F extends { readonly repeatable: true }
  ? readonly OneValueOf<F>[]
  : OneValueOf<F>;

type OneValueOf<F extends Flag | Argument> = F['kind'] extends 'switch'
  ? boolean
  : F['kind'] extends NumberKind
    ? number
    : F['choices'] extends readonly string[]
      ? F['choices'][number]
      : string;

type Values<T> = {
  readonly [K in keyof T]: T[K] extends Flag | Argument ? ValueOf<T[K]> | undefined : never;
};
type ArgumentValues<T> = {
  readonly [K in keyof T]: T[K] extends Argument
    ? T[K]['required'] extends true
      ? ValueOf<T[K]>
      : ValueOf<T[K]> | undefined
    : never;
};

/** A command line of the verb `S`, parsed. */
export interface Input<S extends Spec = Spec> {
  readonly args: ArgumentValues<NonNullable<S['args']>>;
  readonly flags: Values<NonNullable<S['flags']>>;
  readonly connection: ConnectionFlags;
  readonly json: boolean;
}

/** Carries a verb out. Returns the exit code (0 when it returns nothing); throws errors of the table. */
export type Run<S extends Spec> = (input: Input<S>, context: Context) => Promise<number | void>;

/** Where the help shows a verb or a group of verbs. */
interface Place {
  readonly section?: string;
  /** It is on the first screen. */
  readonly isMain?: boolean;
}

export interface Verb extends Place {
  readonly spec: Spec;
  /** Imports the implementation: only the verb that was asked for pays for its imports. */
  readonly load: () => Promise<{ readonly run: Run<Spec> }>;
}

/** A verb that has verbs of its own, such as `pki issue`; they are imported when one is asked for. */
export interface VerbGroup extends Place {
  readonly name: string;
  readonly summary: string;
  readonly examples: readonly [string, ...string[]];
  readonly verbs: () => Promise<readonly Verb[]>;
}

export type Entry = Verb | VerbGroup;

export function isGroup(entry: Entry): entry is VerbGroup {
  return 'verbs' in entry;
}

/** Keeps the literal types of a spec, so that Input<typeof spec> knows each flag's type. */
export function spec<const S extends Spec>(given: S): S {
  return given;
}

/** Joins a spec to its implementation; the compiler checks that they fit. */
export function verb<S extends Spec>(
  given: S,
  load: () => Promise<{ readonly run: Run<S> }>,
): Verb {
  return { spec: given, load };
}

/** `maxDowntime` -> `max-downtime` */
export function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Flags that choose a controller, and the caller's certificate. */
const CONTROLLER_FLAGS = {
  controller: {
    kind: 'text',
    value: 'where',
    group: 'Connection',
    summary:
      'the controller to use: https://host[:port] (port 7444), or the path of its Unix socket (default: $GODWIT_CONTROLLER)',
  },
  context: {
    kind: 'context',
    value: 'name',
    group: 'Connection',
    summary: 'the fleet of this name, as `godwit context set` made it',
  },
  cert: {
    kind: 'file',
    value: 'file',
    group: 'Connection',
    summary: 'certificate (PEM) for https://',
  },
  key: { kind: 'file', value: 'file', group: 'Connection', summary: 'its private key (PEM)' },
  ca: {
    kind: 'file',
    value: 'file',
    group: 'Connection',
    summary: 'certificate authority (PEM) that signed the agent or the controller',
  },
} as const satisfies Partial<Record<keyof ConnectionFlags, Flag>>;

/** Flags that the frame adds to each verb that speaks to an agent. */
export const CONNECTION_FLAGS = {
  agent: {
    kind: 'text',
    value: 'where',
    group: 'Connection',
    summary: 'the agent to use: the path of a Unix socket, or https://host[:port] (port 7443)',
  },
  lab: { kind: 'text', value: 'name', group: 'Connection', summary: 'use the agents of this lab' },
  host: {
    kind: 'host',
    value: 'name',
    group: 'Connection',
    summary: 'in a lab: use the agent of this host',
  },
  manager: {
    kind: 'text',
    value: 'name',
    group: 'Connection',
    summary:
      'speak to the agent of this vCenter or Hyper-V host, through the controller that keeps it',
  },
  ...CONTROLLER_FLAGS,
} as const satisfies Record<Exclude<keyof ConnectionFlags, 'atHost'>, Flag>;

/** The connection flags of a verb. */
export function connectionFlags({ uses }: Spec): Readonly<Record<string, Flag>> {
  const { controller: _without, ...ofHost } = CONNECTION_FLAGS;
  if (uses === undefined) return {};
  return { agent: CONNECTION_FLAGS, host: ofHost, controller: CONTROLLER_FLAGS }[uses];
}

/** Every flag of a verb: its own, then --json and -v, then the connection flags. */
export function flagsOf(spec: Spec): Readonly<Record<string, Flag>> {
  return {
    ...spec.flags,
    ...(spec.json === undefined ? {} : { json: JSON_FLAG }),
    verbose: VERBOSE_FLAG,
    ...connectionFlags(spec),
    ...spec.flags,
  };
}

const JSON_FLAG: Flag = { kind: 'switch', summary: 'print JSON, for programs' };
const VERBOSE_FLAG: Flag = { kind: 'switch', short: 'v', summary: "print an error's causes too" };
