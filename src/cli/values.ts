import { godwitError, hasCode } from '../errors.ts';
import { didYouMean } from '../protocol/nearest.ts';
import { parseBytes, parseDuration, parseRate } from '../protocol/quantity.ts';
import { kebab, type Argument, type Flag } from './verb.ts';

/**
 * Parses a flag's or argument's text (see Flag). Throws GODWIT_USAGE with the flag, the text and the accepted forms.
 */
export function readValue(name: string, what: Flag | Argument, text: string): string | number {
  switch (what.kind) {
    case 'choice':
      return readChoice(name, what.choices ?? [], text);
    case 'count':
      return readCount(name, text);
    case 'bytes':
      return named(name, () => parseBytes(text));
    case 'rate':
      return named(name, () => parseRate(text));
    case 'duration':
      return named(name, () => parseDuration(text));
    case 'text':
    case 'file':
    case 'host':
    case 'guest':
    case 'migration':
    case 'context':
    case 'switch':
      return text;
  }
}

export function flagName(name: string): string {
  return `--${kebab(name)}`;
}

function readChoice(name: string, choices: readonly string[], text: string): string {
  if (choices.includes(text)) return text;
  const list = choices.join(', ');
  const near = didYouMean(text, choices);
  throw godwitError(
    'GODWIT_USAGE',
    { what: `${name} cannot be "${shown(text)}"` },
    { hint: near === undefined ? `Choose one of ${list}.` : `${near} It can be ${list}.` },
  );
}

function readCount(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw godwitError(
    'GODWIT_USAGE',
    { what: `${name}: "${shown(text)}" is not a number` },
    { hint: 'Give a whole number without a unit.' },
  );
}

function named(name: string, parse: () => number): number {
  try {
    return parse();
  } catch (error) {
    if (!hasCode(error, 'GODWIT_USAGE')) throw error;
    throw godwitError(
      'GODWIT_USAGE',
      { what: `${name}: ${error.message}` },
      { hint: error.hint, cause: error },
    );
  }
}

function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}
