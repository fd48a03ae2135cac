import { inspect } from 'node:util';
import { toGodwitError, type GodwitError } from '../errors.ts';
import { printJson, usesColor, type Context } from './context.ts';
import { wrap } from '../words/terminal-width.ts';
import { painter, printable } from '../words/style.ts';

/**
 * Prints an error: `error:` and `hint:` lines on standard error and, with --json, `{ "error": ... }` on standard
 * output. Returns the exit code of the error table.
 */
export function printFailure(context: Context, thrown: unknown, json: boolean): number {
  const error = toGodwitError(thrown);
  if (json) printJson(context, { error });
  printError(context, error);
  return error.exit;
}

export function sayIncomplete(context: Context, error: GodwitError): number {
  printError(context, error);
  return error.exit;
}

/** Only the `error:` and `hint:` lines; with GODWIT_DEBUG=1 also the causes. */
export function printError(context: Context, error: GodwitError): void {
  const paint = painter(usesColor(context, context.err));
  const lines = [
    `${paint.red('error:')} ${printable(error.message)}`,
    `${paint.dim('hint:')} ${printable(error.hint)}`,
  ];
  if (context.env['GODWIT_DEBUG'] === '1') lines.push(...causes(error).map(printable));
  const { err } = context;
  const text = err.isTerminal ? lines.map((line) => wrap(line, err.columns())) : lines;
  err.write(`${text.join('\n')}\n`);
}

const MAX_CAUSES = 10;

function causes(error: Error): string[] {
  const lines: string[] = [];
  let cause: unknown = error;
  for (let depth = 0; depth < MAX_CAUSES && cause !== undefined; depth += 1) {
    const text = cause instanceof Error ? (cause.stack ?? cause.message) : inspect(cause);
    lines.push(`${depth === 0 ? 'at' : 'cause'}: ${text}`);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return lines;
}
