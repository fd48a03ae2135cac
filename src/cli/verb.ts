import type { ConnectionFlags, Context } from './context.ts';

export type WordKind = 'text' | 'file' | 'host' | 'guest' | 'migration' | 'context';
export type NumberKind = 'count' | 'bytes' | 'rate' | 'duration';

export interface Argument {
  readonly kind: WordKind | 'choice';
  readonly summary: string;
  readonly choices?: readonly string[];
  readonly required?: boolean;
  /** Only the last argument: gets all remaining words in order. */
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
 * A flag. A `switch` takes no value; a number has a unit (`512M`, `1gbit`, `10m`) and arrives as bytes, bytes/s or ms;
 * a `choice` is one of `choices`.
 */
export interface Flag {
  readonly kind: WordKind | NumberKind | 'switch' | 'choice';
  readonly summary: string;
  /** Title in the help; default: Common. */
  readonly group?: FlagGroup;
  readonly value?: string;
  readonly choices?: readonly string[];
  /** Default as typed, shown in the help. */
  readonly preset?: string;
  readonly short?: string;
  /** The value may be omitted and is then ''. */
  readonly optionalValue?: boolean;
  readonly hidden?: boolean;
  /** Repeatable; all values arrive in order. */
  readonly repeatable?: boolean;
}

/** Specification of a verb, the source of help, completion and docs/cli.md. */
export interface Spec {
  readonly name: string;
  /** Names in other tools. */
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly details?: string;
  readonly args?: Readonly<Record<string, Argument>>;
  /** Flags by name in camel case: `maxDowntime` is `--max-downtime`. */
  readonly flags?: Readonly<Record<string, Flag>>;
  /** Command lines without the leading `godwit`. */
  readonly examples: readonly [string, ...string[]];
  /**
   * `agent`: uses agents, directly or through a controller, and gets --agent, --lab, --host, --manager, --controller,
   * --context and the certificate flags. `host`: the same without a controller, since it is about one host.
   * `controller`: uses only a controller, and gets the flags that choose one.
   */
  readonly uses?: 'agent' | 'host' | 'controller';
  /** Output of --json, as a name in json-shapes.ts or in words; absent: no --json. */
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

export interface Input<S extends Spec = Spec> {
  readonly args: ArgumentValues<NonNullable<S['args']>>;
  readonly flags: Values<NonNullable<S['flags']>>;
  readonly connection: ConnectionFlags;
  readonly json: boolean;
}

export type Run<S extends Spec> = (input: Input<S>, context: Context) => Promise<number | void>;

interface Place {
  readonly section?: string;
  readonly isMain?: boolean;
}

export interface Verb extends Place {
  readonly spec: Spec;
  readonly load: () => Promise<{ readonly run: Run<Spec> }>;
}

/** A verb with subverbs, such as `pki issue`, imported on demand. */
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

/** Keeps the literal types of a spec, so that Input<typeof spec> has each flag's type. */
export function spec<const S extends Spec>(given: S): S {
  return given;
}

/** Joins a spec to its implementation, with type checks. */
export function verb<S extends Spec>(
  given: S,
  load: () => Promise<{ readonly run: Run<S> }>,
): Verb {
  return { spec: given, load };
}

export function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

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
