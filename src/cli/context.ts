import type { Clock } from '../clock.ts';
import type { AgentSet } from './connection/agent-set.ts';

export interface Output {
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Width in columns, read at each use because terminals are resized. */
  columns(): number;
  rows(): number;
}

export type InterruptSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

export interface ConnectionFlags {
  readonly agent?: string | undefined;
  readonly lab?: string | undefined;
  readonly host?: string | undefined;
  readonly manager?: string | undefined;
  readonly controller?: string | undefined;
  /** About one host: controllers from the environment or a context are ignored. */
  readonly atHost?: boolean;
  readonly context?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly ca?: string | undefined;
}

export interface Context {
  readonly out: Output;
  readonly err: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  connect(flags: ConnectionFlags): Promise<AgentSet>;
  /** Calls back on each Ctrl-C, SIGTERM and SIGHUP instead of ending; returns a function that unsubscribes. */
  onInterrupt(listener: (signal: InterruptSignal) => void): () => void;
  /** Reads a typed line; undefined without a terminal, and after `signal` aborts. */
  readonly readLine?: ((signal: AbortSignal) => Promise<string | undefined>) | undefined;
  readonly hiddenLine?:
    | ((question: string, signal: AbortSignal) => Promise<string | undefined>)
    | undefined;
  /**
   * Reads the first line of standard input, at most `most` characters, and leaves the rest. Undefined after `signal`
   * aborts.
   */
  readonly firstLine?:
    | ((most: number, signal: AbortSignal) => Promise<string | undefined>)
    | undefined;
  /** Calls back when the terminal is resized; returns a function that unsubscribes. */
  onResize(listener: () => void): () => void;
  /** The program can build labs, as a clone's can. */
  readonly hasLab?: boolean | undefined;
  /** Another format for the output of --json; absent: JSON. */
  readonly notation?: ((value: unknown) => string) | undefined;
}

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

/** Prints one JSON value and a line end, or the context's notation. */
export function printJson(context: Context, value: unknown): void {
  if (context.notation !== undefined) return context.out.write(context.notation(value));
  context.out.write(
    `${JSON.stringify(value, undefined, context.out.isTerminal ? 2 : undefined)}\n`,
  );
}

/** Tells whether colour may be used (https://no-color.org). */
export function usesColor(context: Context, output: Output): boolean {
  const { NO_COLOR, TERM, FORCE_COLOR } = context.env;
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '' && FORCE_COLOR !== '0') return true;
  return output.isTerminal && TERM !== 'dumb';
}
