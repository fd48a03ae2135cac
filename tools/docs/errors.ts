import { readdirSync, readFileSync } from 'node:fs';
import { EXITS } from '../../src/cli/help.ts';
import { ERRORS } from '../../src/errors.ts';

/** docs/errors.md: every error of the table, in its groups. */
export function errorsPage(): string {
  const sections = groups().map(
    ([title, codes]) => `## ${title}\n\n${codes.map(entry).join('\n')}`,
  );
  return `# Errors

Made from src/errors/ by \`npm run docs\`. Every error that Godwit reports is one of these: it has a
code that does not change, a message that says what and where, a hint that says how to fix it,
whether trying again may help, an exit code for the command line and a status for the API.

The command line prints \`error:\` and \`hint:\` lines on standard error; with \`--json\` it also prints
\`{ "error": { code, message, hint, retryable, facts } }\` on standard output, as the API does.
\`-v\` or \`GODWIT_DEBUG=1\` adds the causes.

## Exit codes

| code | meaning |
| --- | --- |
${EXITS.map(([code, meaning]) => `| ${code} | ${meaning} |`).join('\n')}

${sections.join('\n')}`;
}

function entry(code: string): string {
  const { message, hint, retryable, exit, http } = ERRORS[code as keyof typeof ERRORS];
  const again = retryable ? 'trying again may help' : 'trying again does not help';
  return `### ${code}\n\n> ${message}\n\n${hint}\n\nExit code ${exit}, HTTP ${http}; ${again}.\n`;
}

/** The comments in the files of the table are the titles of its groups. */
function groups(): [string, string[]][] {
  const titles = new Map<string, string>();
  const folder = new URL('../../src/errors/', import.meta.url);
  for (const file of readdirSync(folder)) {
    let title = 'Others';
    const source = readFileSync(new URL(file, folder), 'utf8');
    for (const [, comment, code] of source.matchAll(/^ {2}(?:\/\/ (.+)|(GODWIT_\w+):)/gm)) {
      if (comment !== undefined) title = comment;
      else if (code !== undefined) titles.set(code, title);
    }
  }
  const found = Map.groupBy(Object.keys(ERRORS), (code) => titles.get(code) ?? 'Others');
  return [...found];
}
