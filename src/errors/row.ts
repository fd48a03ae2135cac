export interface ErrorRow {
  /** Text with `{name}` places, filled from the error's facts. */
  readonly message: string;
  readonly hint: string;
  readonly retryable: boolean;
  readonly exit: number;
  readonly http: number;
}

/** One row; the message keeps its literal type, so that its places are known to the compiler. */
export function row<const M extends string>(
  message: M,
  hint: string,
  retryable: boolean,
  exit: number,
  http: number,
): ErrorRow & { readonly message: M } {
  return { message, hint, retryable, exit, http };
}
