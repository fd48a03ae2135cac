import { godwitError } from '../../errors.ts';
import type { Context } from '../context.ts';

/** Longer than any token: its parts are a name, an address and two fixed lengths. Characters. */
const MAX = 1024;
/** Whoever was asked may have to look for it first. */
const TYPE_MS = 600_000;

/**
 * The token of `command`: the word that was given, standard input if that is `-`, and at a terminal the line that is typed.
 * Command lines can be read by every user of a host, so the word is the last choice. GODWIT_USAGE where there is none.
 */
export async function givenToken(
  word: string | undefined,
  context: Context,
  command: string,
): Promise<string> {
  if (word !== undefined && word !== '-') return word;
  if (word === undefined) {
    if (context.readLine === undefined) throw usage('the token is missing', command);
    context.err.write('Token, as `godwit invite` printed it: ');
  }
  const line = await context.firstLine?.(MAX, AbortSignal.timeout(TYPE_MS));
  if (line === undefined) throw usage('no token came on standard input', command);
  return line.trim();
}

function usage(what: string, command: string): Error {
  const piped = command === 'godwit join' ? `${command} -` : `${command} --token -`;
  const hint = `Type \`${command}\` at a terminal, or give the token on standard input: \`${piped}\`.`;
  return godwitError('GODWIT_USAGE', { what }, { hint });
}
