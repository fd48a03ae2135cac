import { width, wrap } from '../words/terminal-width.ts';
import { PRODUCT_VERSION } from '../protocol/version.ts';
import { flagName } from './values.ts';
import {
  flagsOf,
  isGroup,
  kebab,
  type Argument,
  type Entry,
  type Flag,
  type FlagGroup,
  type Spec,
  type VerbGroup,
} from './verb.ts';

/** Help pages from the table of verbs, at the terminal's width. Pure. */

/** Longer lines are hard to read. */
const MAX_WIDTH = 100;
/** Longer names get a separate line above their text. */
const MAX_NAME = 26;
const MIN_TEXT = 20;

export function firstScreen(table: readonly Entry[], columns: number): string {
  const shown = table.filter(({ isMain }) => isMain === true);
  return [
    'Usage: godwit <verb> [flags]',
    ...sectionsText(shown, columns),
    fit('Flags of a verb: godwit <verb> --help. All verbs: godwit help --all.', columns),
  ]
    .map((text) => `${text}\n`)
    .join('\n');
}

export function wholeHelp(table: readonly Entry[], columns: number): string {
  return [
    'Usage: godwit <verb> [flags]',
    fit(
      `Godwit ${PRODUCT_VERSION} moves running virtual machines and containers from host to host.`,
      columns,
    ),
    ...sectionsText(table, columns),
    fit(
      'The flags that select an agent or a controller, --json and -v may also come before the verb. ' +
        '-V prints the version.',
      columns,
    ),
    listText('Environment', VARIABLES, columns),
    listText(
      'Exit codes',
      EXITS.map(([code, words]) => [String(code), words]),
      columns,
    ),
  ]
    .map((text) => `${text}\n`)
    .join('\n');
}

function sectionsText(table: readonly Entry[], columns: number): string[] {
  const names = table.map((each) => entryName(each));
  const widest = Math.max(0, ...names.map((name) => name.length));
  return [...Map.groupBy(table, ({ section = 'Verbs' }) => section)].map(([title, entries]) =>
    [
      title,
      ...entries.map((each) => rowText(entryName(each), entrySummary(each), widest, columns)),
    ].join('\n'),
  );
}

const entryName = (entry: Entry): string => (isGroup(entry) ? entry.name : entry.spec.name);
const entrySummary = (entry: Entry): string =>
  isGroup(entry) ? entry.summary : entry.spec.summary;

export function groupHelp(group: VerbGroup, members: readonly Spec[], columns: number): string {
  const rows = members.map((spec) => [usageWords(spec), spec.summary] as const);
  return [
    `Usage: godwit ${group.name} <verb> [flags]`,
    fit(sentence(group.summary), columns),
    ...(rows.length === 0 ? [] : [listText('Verbs', rows, columns)]),
    examplesText(group.examples, columns),
  ]
    .map((text) => `${text}\n`)
    .join('\n');
}

/** One verb: usage, flags by group, examples. `path` includes the group's name. */
export function verbHelp(path: string, spec: Spec, columns: number): string {
  const { aliases = [], args = {}, details, examples, json } = spec;
  const also = aliases.length === 0 ? '' : ` (also: ${aliases.join(', ')})`;
  const words = Object.entries(args).map(([name, argument]) => [
    shownArgument(name, argument),
    argument.summary,
  ]) as [string, string][];
  return [
    `Usage: godwit ${[...path.split(' ').slice(0, -1), usageWords(spec)].join(' ')} [flags]`,
    fit(sentence(`${spec.summary}${also}`), columns),
    ...(details === undefined ? [] : [fit(details, columns)]),
    ...(words.length === 0 ? [] : [listText('Arguments', words, columns)]),
    ...flagGroups(spec).map(([title, flags]) =>
      listText(
        title,
        flags.map(([name, flag]) => [shownFlag(name, flag), flagText(flag)]),
        columns,
      ),
    ),
    examplesText(examples, columns),
    ...(json === undefined ? [] : [fit(jsonText(json), columns)]),
  ]
    .map((text) => `${text}\n`)
    .join('\n');
}

const HELP_FLAG: Flag = { kind: 'switch', short: 'h', summary: 'print this help' };

const GROUPS: readonly FlagGroup[] = [
  'Common',
  'When to begin',
  'Memory',
  'Disks',
  'Devices and network',
  'Managers',
  'Connection',
];

export function flagGroups(spec: Spec): [string, [string, Flag][]][] {
  const all = { ...flagsOf(spec), help: HELP_FLAG };
  const shown = Object.entries(all).filter(([, flag]) => flag.hidden !== true);
  const groups = Map.groupBy(shown, ([, { group = 'Common' }]) => group);
  const isOne = groups.size - (groups.has('Connection') ? 1 : 0) === 1;
  return GROUPS.flatMap((title) => {
    const flags = groups.get(title);
    return flags === undefined ? [] : [[title === 'Common' && isOne ? 'Flags' : title, flags]];
  });
}

function usageWords({ name, args = {} }: Spec): string {
  const words = Object.entries(args).map(([word, argument]) => {
    const shown = shownArgument(word, argument);
    return argument.required === true ? `<${shown}>` : `[${shown}]`;
  });
  return [name, ...words].join(' ');
}

function shownArgument(name: string, argument: Argument): string {
  const shown = argument.kind === 'choice' ? (argument.choices ?? []).join('|') : kebab(name);
  return argument.repeatable === true ? `${shown}...` : shown;
}

function shownFlag(name: string, flag: Flag): string {
  const short = flag.short === undefined ? '' : `-${flag.short}, `;
  return `${short}${flagName(name)}${valuePlace(flag)}`;
}

function valuePlace(flag: Flag): string {
  if (flag.kind === 'switch') return '';
  const value = flag.value ?? (flag.choices === undefined ? flag.kind : flag.choices.join('|'));
  return flag.optionalValue === true ? ` [${value}]` : ` <${value}>`;
}

function flagText({ summary, preset, value, choices }: Flag): string {
  const named = value === undefined || choices === undefined ? '' : ` (${choices.join(', ')})`;
  return `${summary}${named}${preset === undefined ? '' : ` (default: ${preset})`}`;
}

function listText(
  title: string,
  rows: readonly (readonly [string, string])[],
  columns: number,
): string {
  const widest = Math.min(MAX_NAME, Math.max(...rows.map(([name]) => width(name))));
  return [title, ...rows.map(([name, text]) => rowText(name, text, widest, columns))].join('\n');
}

function rowText(name: string, text: string, widest: number, columns: number): string {
  const indent = widest + 4;
  const room = Math.max(MIN_TEXT, within(columns) - indent);
  const lines = wrap(text, room)
    .split('\n')
    .map((line) => line.trimStart());
  const under = lines.map((line) => ' '.repeat(indent) + line);
  if (width(name) <= widest) {
    const [first = ''] = lines;
    const padding = ' '.repeat(widest - width(name) + 2);
    return [`  ${name}${padding}${first}`, ...under.slice(1)].join('\n');
  }
  return [nameText(name, columns), ...under].join('\n');
}

/** A name wider than the terminal is broken between its choices. */
function nameText(name: string, columns: number): string {
  const most = within(columns) - 2;
  const lines: string[] = [''];
  for (const part of name.split(/(?<=\|)/)) {
    const now = lines.at(-1) ?? '';
    if (now !== '' && width(now + part) > most) lines.push(`  ${part}`);
    else lines[lines.length - 1] = now + part;
  }
  return lines.map((line) => `  ${line}`).join('\n');
}

/** A command wider than the terminal continues on the next line in shell syntax. */
function examplesText(examples: readonly string[], columns: number): string {
  const title = examples.length === 1 ? 'Example' : 'Examples';
  return [title, ...examples.map((line) => commandText(`godwit ${line}`, columns))].join('\n');
}

function commandText(command: string, columns: number): string {
  const most = within(columns) - 2;
  const lines: string[] = [];
  let now = ' ';
  for (const part of command.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? []) {
    if (now.trim() !== '' && width(`${now} ${part}`) > most) {
      lines.push(`${now} \\`);
      now = '     ';
    }
    now = `${now} ${part}`;
  }
  return [...lines, now].join('\n');
}

function jsonText(json: string): string {
  const where = json.includes('{') ? '' : ' Shapes are in docs/json.md.';
  return `With --json: ${json}.${where}`;
}

const within = (columns: number): number => Math.min(columns, MAX_WIDTH);

const fit = (text: string, columns: number): string =>
  wrap(text, within(columns)).replaceAll(/^ +/gm, '');

export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

const VARIABLES: readonly (readonly [string, string])[] = [
  ['GODWIT_AGENT', 'as --agent'],
  ['GODWIT_CONTROLLER', 'as --controller, if no agent and no lab is named'],
  ['GODWIT_LAB', 'as --lab'],
  ['GODWIT_CONTEXT', 'as --context'],
  ['GODWIT_DEBUG=1', 'as -v: errors are printed with their causes'],
  ['NO_COLOR', 'no color, on any terminal'],
  ['FORCE_COLOR', 'color, even if the output is not a terminal'],
  ['LC_ALL, LC_CTYPE, LANG', 'without UTF-8, marks are plain ASCII'],
];

/** Meanings of the exit codes, for docs/errors.md and the help. */
export const EXITS: readonly (readonly [number, string])[] = [
  [0, 'success'],
  [2, 'the command line or a configuration file is wrong'],
  [3, 'a name that does not exist'],
  [4, 'refused before anything started'],
  [5, 'failed; the error names the host that runs the guest, usually the source'],
  [6, 'cancelled; the guest keeps running at the source'],
  [7, 'held or lost: an operator must act'],
  [8, 'no answer in time'],
  [9, 'not allowed'],
  [70, 'a defect in Godwit'],
  [
    130,
    'a signal ended the watching (129 SIGHUP, 130 Ctrl-C, 143 SIGTERM); the watched work continues',
  ],
];
