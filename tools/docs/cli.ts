import { JSON_SHAPES } from './json-shapes.ts';
import { TABLE_WITH_LAB } from '../../lab/cli/table.ts';
import { isGroup, kebab, type Flag, type Spec } from '../../src/cli/verb.ts';

/** docs/cli.md: every verb with its flags. */
export async function cliPage(): Promise<string> {
  const sections: string[] = [];
  for (const entry of TABLE_WITH_LAB) {
    if (!isGroup(entry)) sections.push(verbSection(entry.spec, ''));
    else {
      const examples = entry.examples.map((line) => `godwit ${line}`).join('\n');
      sections.push(`## godwit ${entry.name}\n\n${sentence(entry.summary)}\n\n${code(examples)}\n`);
      for (const { spec } of await entry.verbs()) sections.push(verbSection(spec, entry.name));
    }
  }
  return `${INTRODUCTION}
${sections.join('\n')}`;
}

function verbSection(spec: Spec, group: string): string {
  const name = ['godwit', group, spec.name].filter((word) => word !== '').join(' ');
  const words = Object.entries(spec.args ?? {}).map(([word, { required, choices, repeatable }]) => {
    const shown = `${choices?.join('|') ?? kebab(word)}${repeatable === true ? '...' : ''}`;
    return required === true ? `<${shown}>` : `[${shown}]`;
  });
  const flags = Object.entries(spec.flags ?? {}).filter(([, flag]) => flag.hidden !== true);
  const parts = [
    `${group === '' ? '##' : '###'} ${name}`,
    [sentence(spec.summary), spec.details ?? '', alsoText(spec, group)]
      .filter((text) => text !== '')
      .join(' '),
    code([`${[name, ...words].join(' ')}${flags.length > 0 ? ' [flags]' : ''}`].join('\n')),
    flags.length === 0 ? '' : flagTable(flags),
    spec.examples.length === 1 ? 'Example:' : 'Examples:',
    code(spec.examples.map((line) => `godwit ${line}`).join('\n')),
    spec.json === undefined ? '' : `With \`--json\`: ${jsonText(spec.json)}.`,
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function alsoText({ aliases = [] }: Spec, group: string): string {
  const before = group === '' ? 'godwit' : `godwit ${group}`;
  return aliases.length === 0
    ? ''
    : `Also: ${aliases.map((each) => `\`${before} ${each}\``).join(', ')}.`;
}

/** Names of shapes become links, shapes themselves code. A flag may have the name of a shape. */
function jsonText(json: string): string {
  if (json.startsWith('{')) return `\`${json}\``;
  if (json.includes('{')) return json;
  return json.replaceAll(/(?<!-)\b[a-zA-Z]+\b/g, (word) =>
    word in JSON_SHAPES ? `[${word}](json.md#${word.toLowerCase()})` : word,
  );
}

function flagTable(flags: readonly [string, Flag][]): string {
  const rows = flags.map(([name, flag]) => {
    const value =
      flag.kind === 'switch' ? '' : ` ${flag.value ?? flag.choices?.join(', ') ?? flag.kind}`;
    const preset = flag.preset === undefined ? '' : `\`${flag.preset}\``;
    const short = flag.short === undefined ? '' : `\`-${flag.short}\`, `;
    return `| ${short}\`--${kebab(name)}\`${value} | ${flag.summary} | ${preset} |`;
  });
  return `| flag | | default |\n| --- | --- | --- |\n${rows.join('\n')}`;
}

function code(text: string): string {
  return `\`\`\`sh\n${text}\n\`\`\``;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

const INTRODUCTION = `# The command line

Made from the table of verbs in src/cli by \`npm run docs\`. \`godwit VERB --help\` says the same.

**Quantities** carry their unit: sizes \`512M\`, \`1GiB\`; rates \`1gbit\`, \`20MiB/s\`; durations \`100ms\`,
\`10m\`. A bare K, M or G after a size is a power of 1024.

**Errors** are two lines on standard error: \`error:\` says what is wrong, \`hint:\` how to fix it. The
exit code shows the kind of error; [errors](errors.md) lists all. \`-v\` adds its causes. With \`--json\`, standard output
also gets one object of the shape [error](json.md#error). A migration that ran and failed prints its
[report](json.md#report), which has the error in it.

**Output** on a terminal is a display that is redrawn in place, and plain lines everywhere else.
Tables fit the terminal: sentences are cut first, then minor columns are left out and named below; where even that is too
wide, each row is lines \`TITLE  value\`. What is piped is whole, a line for each row.
\`NO_COLOR\` switches colour off. Where \`LC_ALL\`, \`LC_CTYPE\` or \`LANG\` names no UTF-8, marks such as ✔ are plain
ASCII; JSON is UTF-8 always. Flags that say which agent, \`--json\` and \`-v\` may stand before the verb.

## Which agent is asked

The first of these that is given or there:

1. \`--agent\`: the path of a unix socket, or \`https://host[:port]\` (port 7443). The agent must show a certificate
   for the host's name, which is taken from the address; where that is a number, write
   \`https://NAME@10.0.0.2:7443\`. It wants a certificate: \`--cert\`, \`--key\` and \`--ca\`, or
   the folder of a [context](#contexts).
2. \`--lab NAME\`, with \`--host\` to ask one host's agent only.
3. \`--controller\`: \`https://host[:port]\` (port 7444) or the path of its Unix socket. The controller finds the guest or the
   migration, and passes on what you ask of its host, if your role there allows it. Its audit log has your name.
4. The agent or the lab of \`--context NAME\`, or its controller if it names neither.
5. \`GODWIT_CONTROLLER\`, as \`--controller\`; \`GODWIT_AGENT\`, as \`--agent\`; \`GODWIT_LAB\`, as \`--lab\`.
6. The agent, the lab or the controller of the context in use: \`GODWIT_CONTEXT\`, or what \`godwit context use\` chose.
7. The agent of this host: at \`agent.sock\` in the \`stateDir\` of /etc/godwit/agent.json; on a host without
   that file at /run/godwit/agent.sock or /var/lib/godwit/agent.sock. Where there is such a file or socket
   and nobody answers, it is an error: no lab is taken in its place.
8. The lab called \`lab\`, when it is up.
9. The only lab that is up.

\`doctor\`, \`reload\` and \`cache\` are about one host: they never ask a controller.

In a lab all agents are at hand: a guest or a migration is looked for on each of them.

An agent knows of the guests and migrations of its peers. What is to be done with a guest of another host is
asked of that host's agent, with your own certificate: the one of \`--cert\` or of the context, also where
the first agent is asked over its unix socket. No agent does it for you with its own. A guest that moves is listed
once, under the host that runs it, with both hosts.

## Contexts

Who works with several fleets gives each a name:

\`\`\`
godwit context set prod --agent https://rack1:7443 --certificates ~/.godwit
godwit context set prod --controller https://control:7444
godwit context set try --lab lab
godwit context use prod
godwit guests
godwit guests --context try
\`\`\`

They lie in \`godwit/contexts.json\` below \`XDG_CONFIG_HOME\` (else \`~/.config\`), which holds places and no secret.
The folder of \`--certificates\` has \`ca.crt\` and, of these pairs, the first that is there: \`operator\`, \`viewer\`,
\`client\`, \`host\` with \`.crt\` and \`.key\`; \`godwit pki issue\` makes it. A context with certificates alone is for
whoever works at a host's own agent: other hosts are asked with them. What is typed counts more than the environment,
and the environment more than the context in use.

| variable | |
| --- | --- |
| \`GODWIT_AGENT\`, \`GODWIT_LAB\`, \`GODWIT_CONTEXT\` | see above |
| \`GODWIT_CONTROLLER\` | as \`--controller\`, if no agent and no lab is named |
| \`GODWIT_DEBUG=1\` | as \`-v\`: errors are printed with their causes |
| \`NO_COLOR\` | no color, whatever the terminal |
`;
