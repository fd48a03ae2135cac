import type { Clock } from '../clock.ts';
import type { AgentSet } from './connection/agent-set.ts';

/** Where text goes. */
export interface Output {
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Width in columns, asked for afresh at each use because terminals are resized. */
  columns(): number;
  rows(): number;
}

export type InterruptSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** How to reach an agent, as typed; see connection/connect.ts. */
export interface ConnectionFlags {
  readonly agent?: string | undefined;
  readonly lab?: string | undefined;
  readonly host?: string | undefined;
  readonly manager?: string | undefined;
  readonly controller?: string | undefined;
  /** It is about one host: a controller that the environment or a context names is not asked. */
  readonly atHost?: boolean;
  readonly context?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly ca?: string | undefined;
}

/** Everything that a verb touches of the world; a test gives its own. */
export interface Context {
  readonly out: Output;
  readonly err: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Finds the agents that the flags, the environment or a running lab point to. */
  connect(flags: ConnectionFlags): Promise<AgentSet>;
  /** Calls back on each Ctrl-C, SIGTERM and SIGHUP instead of ending; returns a function that stops it. */
  onInterrupt(listener: (signal: InterruptSignal) => void): () => void;
  /** Reads a line that a person types; undefined where nobody is at a terminal, and once `signal` is aborted. */
  readonly readLine?: ((signal: AbortSignal) => Promise<string | undefined>) | undefined;
  /** Asks for a password, which the terminal does not show. */
  readonly hiddenLine?:
    | ((question: string, signal: AbortSignal) => Promise<string | undefined>)
    | undefined;
  /**
   * Reads the first line of standard input, whoever writes it; what comes after it, or after `most` characters, is left.
   * Undefined once `signal` is aborted.
   */
  readonly firstLine?:
    | ((most: number, signal: AbortSignal) => Promise<string | undefined>)
    | undefined;
  /** Calls back when the terminal changes its size; returns a function that stops it. */
  onResize(listener: () => void): () => void;
  /** The program can build labs: that of a clone. */
  readonly hasLab?: boolean | undefined;
  /** Writes what --json prints in another notation; absent where it is JSON. */
  readonly notation?: ((value: unknown) => string) | undefined;
}

/** The same world but for some parts of it. What a class has, a spread leaves behind. */
export function contextWith(
  context: Context,
  changes: Partial<Pick<Context, 'out' | 'err' | 'env' | 'notation'>>,
): Context {
  return {
    out: context.out,
    err: context.err,
    env: context.env,
    clock: context.clock,
    connect: (flags) => context.connect(flags),
    onInterrupt: (listener) => context.onInterrupt(listener),
    onResize: (listener) => context.onResize(listener),
    readLine: context.readLine,
    hasLab: context.hasLab,
    hiddenLine: context.hiddenLine,
    firstLine: context.firstLine,
    notation: context.notation,
    ...changes,
  };
}

/** One JSON value and a line end on standard output, or the same in the context's notation. */
export function printJson(context: Context, value: unknown): void {
  if (context.notation !== undefined) return context.out.write(context.notation(value));
  context.out.write(
    `${JSON.stringify(value, undefined, context.out.isTerminal ? 2 : undefined)}\n`,
  );
}

/** True when colour may be used on `output` (https://no-color.org). */
export function usesColor(context: Context, output: Output): boolean {
  const { NO_COLOR, TERM, FORCE_COLOR } = context.env;
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '' && FORCE_COLOR !== '0') return true;
  return output.isTerminal && TERM !== 'dumb';
}
