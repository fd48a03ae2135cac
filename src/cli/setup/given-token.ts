import { godwitError } from '../../errors.ts';
import type { Context } from '../context.ts';

/** Upper bound: a token has a name, an address and two fixed-length parts. */
const MAX = 1024;
/** The user may have to look for it. */
const TYPE_MS = 600_000;

/**
 * The token of `command`: the given word, standard input for `-`, or a line typed at the terminal. Every user can read
 * command lines, so the word is the last choice. GODWIT_USAGE without a token.
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
