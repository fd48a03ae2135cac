import { EXITS } from './exit-codes.ts';

const VARIABLES: readonly (readonly [string, string])[] = [
  ['GODWIT_AGENT', 'as --agent'],
  ['GODWIT_CONTROLLER', 'as --controller, where no agent and no lab is named'],
  ['GODWIT_LAB', 'as --lab'],
  ['GODWIT_CONTEXT', 'as --context'],
  ['GODWIT_DEBUG=1', 'as -v: errors are printed with their causes'],
  ['NO_COLOR', 'no colour, whatever the terminal'],
  ['FORCE_COLOR', 'colour, also where it is no terminal'],
  ['LC_ALL, LC_CTYPE, LANG', 'where they name no UTF-8, marks are plain ASCII'],
];

/** Behind the list of verbs. */
export const HELP_AFTER = `
Flags that say which agent, --json and -v may stand before the verb too.
Every verb has its own help: godwit migrate --help

Environment:
${lines(VARIABLES)}

Exit codes:
${lines(EXITS.map(([code, words]) => [String(code), words]))}`;

function lines(rows: readonly (readonly [string, string])[]): string {
  const widest = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, words]) => `  ${name.padEnd(widest)}  ${words}`).join('\n');
}
