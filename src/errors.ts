import { askedErrors } from './errors/requests.ts';
import { diskErrors } from './errors/disks.ts';
import { managerErrors } from './errors/managers.ts';
import { recoveryErrors } from './errors/recovery.ts';
import { refusalErrors } from './errors/refusals.ts';
import { runningErrors } from './errors/running.ts';
import { rpcErrors } from './errors/rpc.ts';
import { storeErrors } from './errors/store.ts';
import { formatBytes, formatDuration } from './formats/quantity.ts';

/**
 * Every error that Godwit reports, as one table. A row says what the message is made of, how to fix it,
 * whether trying again may help, and what the CLI (exit) and the API (http) answer with.
 *
 * Exit codes: 2 usage, 3 not found, 4 refused before anything started, 5 failed (source runs on),
 * 6 cancelled, 7 held or lost (a person must look), 8 unreachable or timed out, 9 not allowed, 70 a defect.
 */
export const ERRORS = {
  ...askedErrors,
  ...storeErrors,
  ...managerErrors,
  ...rpcErrors,
  ...refusalErrors,
  ...diskErrors,
  ...runningErrors,
  ...recoveryErrors,
} as const;

export type ErrorCode = keyof typeof ERRORS;

type Places<M extends string> = M extends `${string}{${infer P}}${infer Rest}`
  ? P | Places<Rest>
  : never;
export type ErrorFacts<C extends ErrorCode> = {
  readonly [K in Places<(typeof ERRORS)[C]['message']>]: string | number;
};

/** What crosses a wire or goes into a journal. */
export interface SerialError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly retryable: boolean;
  readonly facts: Readonly<Record<string, string | number>>;
}

export class GodwitError extends Error {
  override readonly name = 'GodwitError';
  readonly code: ErrorCode;
  readonly hint: string;
  readonly retryable: boolean;
  readonly facts: Readonly<Record<string, string | number>>;

  constructor(serial: SerialError, options?: { cause?: unknown }) {
    super(serial.message, options);
    this.code = serial.code;
    this.hint = serial.hint;
    this.retryable = serial.retryable;
    this.facts = serial.facts;
  }

  get exit(): number {
    return ERRORS[this.code].exit;
  }

  get http(): number {
    return ERRORS[this.code].http;
  }

  toJSON(): SerialError {
    const { code, message, hint, retryable, facts } = this;
    return { code, message, hint, retryable, facts };
  }
}

/** Bounds of what a wire and a journal take (protocol/errors.ts); an error is cut to them when it is made. */
const MAX_FACT = 4096;
const MAX_HINT = 4096;
const MAX_MESSAGE = 8192;

/** Makes an error of the table. `facts` must fill every place of the row's message. */
export function godwitError<C extends ErrorCode>(
  code: C,
  facts: ErrorFacts<C>,
  options: { readonly hint?: string; readonly cause?: unknown } = {},
): GodwitError {
  const { message, hint, retryable } = ERRORS[code];
  const printed = Object.fromEntries(
    Object.entries<string | number>(facts).map(([name, value]) => [name, fact(value)]),
  );
  const fill = (text: string): string =>
    text.replace(/\{(\w+)\}/g, (place, name: string) => words(name, printed[name] ?? place));
  const serial = {
    code,
    message: fill(message).slice(0, MAX_MESSAGE),
    hint: fill(options.hint ?? hint).slice(0, MAX_HINT),
    retryable,
    facts: printed,
  };
  return new GodwitError(serial, 'cause' in options ? { cause: options.cause } : undefined);
}

/** A fact as JSON can hold it. */
function fact(value: string | number): string | number {
  if (typeof value === 'string') return value.slice(0, MAX_FACT);
  return Number.isFinite(value) ? value : String(value);
}

/** A fact in a text for people. The suffix of its name is its unit. */
function words(name: string, value: string | number): string {
  if (typeof value === 'string') return value;
  if (name.endsWith('Bytes')) return formatBytes(value);
  return name.endsWith('Ms') ? formatDuration(value) : String(value);
}

/** Whatever was thrown, as an error of the table; what is not one of ours is a defect, with its cause kept. */
export function toGodwitError(thrown: unknown): GodwitError {
  if (thrown instanceof GodwitError) return thrown;
  const what = thrown instanceof Error ? thrown.message : wordsOf(thrown);
  return godwitError('GODWIT_INTERNAL', { what }, { cause: thrown });
}

/** An object may refuse to become a text; saying so must not throw in its turn. */
function wordsOf(thrown: unknown): string {
  const isThing = typeof thrown === 'object' || typeof thrown === 'function';
  return isThing && thrown !== null ? 'what was thrown is no error' : String(thrown);
}

/** True for an error of the table with one of these codes. */
export function hasCode(thrown: unknown, ...codes: readonly ErrorCode[]): thrown is GodwitError {
  return thrown instanceof GodwitError && codes.includes(thrown.code);
}
