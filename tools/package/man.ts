import {
  flagsOf,
  isGroup,
  kebab,
  type Flag,
  type Spec,
  type Verb,
  type VerbGroup,
} from '../../src/cli/verb.ts';

/** Manual pages, made from the table of verbs as `--help` and docs/cli.md are: godwit(1), and one page for each verb. */

export interface Page {
  /** `godwit-pki-issue.1` */
  readonly file: string;
  readonly text: string;
}

/** `date`: of the commit, as 2026-11-23. */
export async function manPages(
  table: readonly (Verb | VerbGroup)[],
  { version, date }: { readonly version: string; readonly date: string },
): Promise<Page[]> {
  const pages: Page[] = [];
  const head = (name: string): string =>
    `.TH ${upper(name)} 1 ${date} "Godwit ${version}" "Godwit"\n`;
  const listed: [string, string][] = [];
  for (const entry of table) {
    const verbs = isGroup(entry) ? await entry.verbs() : [entry];
    for (const { spec } of verbs) {
      const words = isGroup(entry) ? ['godwit', entry.name, spec.name] : ['godwit', spec.name];
      const name = words.join('-');
      pages.push({ file: `${name}.1`, text: head(name) + verbPage(words, spec) });
      listed.push([name, spec.summary]);
    }
  }
  return [{ file: 'godwit.1', text: head('godwit') + mainPage(listed) }, ...pages];
}

function mainPage(listed: readonly [string, string][]): string {
  const verbs = listed.map(([name, summary]) => `.TP\n.BR ${plain(name)} (1)\n${line(summary)}\n`);
  return `.SH NAME
godwit \\- live migration for virtual machines
.SH SYNOPSIS
.B godwit
.I verb
[flags]
.SH DESCRIPTION
Moves running QEMU guests from host to host.
Each host runs one agent; the verbs speak to it.
Every verb has a page of its own, and
.B \\-\\-help
says the same.
.SH VERBS
${verbs.join('')}.SH ENVIRONMENT
.TP
.BR GODWIT_AGENT ", " GODWIT_LAB ", " GODWIT_CONTEXT
The agent to speak to, the lab, and the context (godwit\\-context).
.TP
.B GODWIT_DEBUG=1
As \\-v: errors are printed with their causes.
.TP
.B NO_COLOR
No color, whatever the terminal.
.SH FILES
.TP
.I /etc/godwit/agent.json
The configuration of this host's agent.
.TP
.I /var/lib/godwit
What it keeps: journals, certificates, caches.
.TP
.I /usr/share/doc/godwit/docs
The pages: how to install, operate and understand it, and every error with its exit code.
`;
}

function verbPage(words: readonly string[], spec: Spec): string {
  const name = words.join('-');
  const args = Object.entries(spec.args ?? {});
  const flags = Object.entries(flagsOf(spec)).filter(([, flag]) => flag.hidden !== true);
  const synopsis = args.map(([word, { required, choices, repeatable }]) => {
    const more = repeatable === true ? '...' : '';
    const shown = `\\fI${plain(choices?.join('|') ?? kebab(word))}\\fR${more}`;
    return required === true ? shown : `[${shown}]`;
  });
  const parts = [
    `.SH NAME\n${plain(name)} \\- ${line(spec.summary)}\n`,
    `.SH SYNOPSIS\n${[`\\fB${plain(words.join(' '))}\\fR`, ...synopsis].join(' ')} [flags]\n`,
    spec.details === undefined ? '' : `.SH DESCRIPTION\n${line(spec.details)}\n`,
    args.length === 0
      ? ''
      : `.SH ARGUMENTS\n${args.map(([word, each]) => item(`\\fI${plain(kebab(word))}\\fR`, each.summary)).join('')}`,
    flags.length === 0 ? '' : `.SH OPTIONS\n${flags.map(option).join('')}`,
    `.SH EXAMPLES\n.nf\n${spec.examples.map((each) => `${line(`godwit ${each}`)}\n`).join('')}.fi\n`,
    spec.json === undefined ? '' : `.SH OUTPUT\nWith \\fB\\-\\-json\\fR: ${line(spec.json)}.\n`,
    '.SH SEE ALSO\n.BR godwit (1)\n',
  ];
  return parts.join('');
}

function option([name, flag]: [string, Flag]): string {
  const value = flag.value ?? flag.choices?.join('|') ?? flag.kind;
  const word = `\\fB\\-\\-${plain(kebab(name))}\\fR`;
  const preset = flag.preset === undefined ? '' : ` (default: ${flag.preset})`;
  const shown = flag.optionalValue === true ? `[${plain(value)}]` : `\\fI${plain(value)}\\fR`;
  return item(flag.kind === 'switch' ? word : `${word} ${shown}`, flag.summary + preset);
}

function item(title: string, text: string): string {
  return `.TP\n${title}\n${line(text)}\n`;
}

function upper(text: string): string {
  return plain(text.toUpperCase());
}

/** Roff reads a backslash as its own, and a bare hyphen as one that is not typed. */
function plain(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-');
}

/** One line of text; a leading dot or quote would be a request of roff. */
function line(text: string): string {
  const flat = plain(text).replaceAll(/\s*\n\s*/g, ' ');
  return /^[.']/.test(flat) ? `\\&${flat}` : flat;
}
