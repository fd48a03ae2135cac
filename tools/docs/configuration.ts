import { z } from 'zod';
import { agentConfig } from '../../src/config.ts';
import { controllerConfig } from '../../src/controller/config.ts';
import { relayConfig } from '../../src/relay/config.ts';
import { AGENT, CONTROLLER, DRIVERS, RELAY, type Setting } from './settings.ts';

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly default?: unknown;
}

/** docs/configuration.md: every setting of an agent, a controller and a relay. */
export function configurationPage(): string {
  const tables = [
    ['Settings of an agent', agentConfig, AGENT],
    ['Settings of a controller', controllerConfig, CONTROLLER],
    ['Settings of a relay', relayConfig, RELAY],
  ] as const;
  const [agent = '', ...others] = tables.map(([title, schema, settings]) => {
    const rows = rowsOf(schemaOf(schema), settings).join('\n');
    return `## ${title}\n\n| setting | values | default | meaning |\n| --- | --- | --- | --- |\n${rows}\n`;
  });
  const drivers = Object.entries(DRIVERS).map(
    ([name, { means, absent }]) => `| \`${name}\` | ${absent} | ${means} |`,
  );
  return `${INTRODUCTION}
${agent}
## Settings of drivers

| setting | default | meaning |
| --- | --- | --- |
${drivers.join('\n')}

${others.join('\n')}`;
}

const schemaOf = (schema: z.ZodType): Schema =>
  z.toJSONSchema(schema, { io: 'input', reused: 'inline', unrepresentable: 'any' }) as Schema;

/** One row for each setting; a section's settings have a row each. Throws if a setting has no meaning, or is unknown. */
export function rowsOf(
  schema: Schema,
  settings: Readonly<Record<string, string | Setting>>,
): string[] {
  const unused = new Set(Object.keys(settings));
  const row = (name: string, value: Schema, needed: string | undefined): string => {
    const setting = settings[name];
    if (setting === undefined) throw new Error(`tools/docs/settings.ts lacks ${name}`);
    unused.delete(name);
    const { means, absent } = typeof setting === 'string' ? { means: setting } : setting;
    const preset = needed ?? absent ?? defaultText(value.default);
    return `| \`${name}\` | ${valuesOf(value)} | ${preset} | ${means} |`;
  };
  const rows = Object.entries(schema.properties ?? {}).flatMap(([name, value]) => {
    const needed = schema.required?.includes(name) === true ? 'needed' : undefined;
    const isSection = value.properties !== undefined && !(name in settings);
    if (!isSection) return [row(name, value, needed)];
    return Object.entries(value.properties ?? {}).map(([inner, each]) =>
      row(`${name}.${inner}`, withDefaultOf(value, inner, each), neededIn(value, inner)),
    );
  });
  if (unused.size > 0) throw new Error(`no schema has ${[...unused].join(', ')}`);
  return rows;
}

function neededIn({ required, default: preset }: Schema, name: string): string | undefined {
  const isNeeded = required?.includes(name) === true && preset === undefined;
  return isNeeded ? 'needed in the section' : undefined;
}

function withDefaultOf(section: Schema, name: string, value: Schema): Schema {
  const preset = (section.default as Record<string, unknown> | undefined)?.[name];
  return preset === undefined || value.default !== undefined
    ? value
    : { ...value, default: preset };
}

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;

function defaultText(value: unknown): string {
  return value === undefined || isEmpty(value) ? 'none' : `\`${JSON.stringify(value)}\``;
}

const MAX_SHOWN = Number.MAX_SAFE_INTEGER;

function valuesOf({ type, enum: words, anyOf, minimum, maximum, maxItems }: Schema): string {
  if (words !== undefined) return words.map((each) => `\`${String(each)}\``).join(', ');
  if (anyOf !== undefined) return 'one of several forms';
  if (type === 'integer' || type === 'number') {
    const top = maximum === undefined || maximum >= MAX_SHOWN ? undefined : maximum;
    return top === undefined ? `number from ${minimum ?? 0}` : `${minimum ?? 0} to ${top}`;
  }
  if (type === 'array') return maxItems === undefined ? 'list' : `list of up to ${maxItems}`;
  if (type === 'object') return 'names with values';
  if (type === undefined) return 'see its meaning';
  if (type === 'boolean') return '`true`, `false`';
  return 'text';
}

const INTRODUCTION = `# Configuration

Every setting of an agent, a controller and a relay, made from their schemas by \`npm run docs\`. Each program reads one
JSON file. \`godwit init\` and \`godwit join\` write the agent's file with the settings that a host needs. Names that end in
\`Ms\` are milliseconds, in \`Bytes\` or \`bytes\` bytes, in \`PerS\` bytes per second.

## The file of an agent
\`godwit serve agent\` reads \`/etc/godwit/agent.json\`, or the file of \`--config\`. Movers read the same file.
\`\`\`json
{
  "name": "a",
  "address": "10.0.0.1:7443",
  "stateDir": "/var/lib/godwit",
  "caDir": "/etc/godwit/ca",
  "storage": [{ "path": "/srv/images" }],
  "drivers": { "qemu": { "imageDirs": ["/boot", "/srv/kernels"] } }
}
\`\`\`
Hosts that joined with a token need not be named.

## Change a setting
\`\`\`
godwit doctor --config /etc/godwit/agent.json   # the mistakes in it on this host, also before an agent runs
godwit reload --dry-run                         # what would be taken, and what waits for a restart
godwit reload                                   # or: systemctl reload godwit-agent
\`\`\`
A change takes effect:

- \`peers\` and \`network\`: as soon as the file is written. The agent reads both again.
- Settings that a mover uses: with the next mover. A mover reads the file when it begins, and keeps what it read. A mistake in the file refuses each migration from or to this host, even before a reload, so try it first.
- \`site\`, \`bridges\`, \`storage\`, \`guestLogs\`, \`ports\`, \`guests\`, \`limits\`, \`cache\`, \`wire\`, \`unencryptedMemory\`, \`hooks\` and \`logLevel\` of the agent: with \`godwit reload\`.
- Everything else: with a restart of the agent. Guests and migrations do not notice it.

A reload takes everything that can change at run time in one step. If anything in the file is wrong, it takes nothing and names line and column, and the agent continues as before. SIGHUP does the same; its answer is in the agent’s log. In the foreground of a terminal SIGHUP ends an agent, because there it means that the terminal was closed.
`;
