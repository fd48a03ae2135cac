import path from 'node:path';
import { godwitError } from '../../errors.ts';
import { printable } from '../../words/style.ts';
import { renderTable } from '../../words/table.ts';
import { printJson } from '../context.ts';
import { credentials, namedAgent } from '../connection/credentials.ts';
import {
  contextName,
  contextOf,
  readContexts,
  withContext,
  withoutContext,
  writeContexts,
  type FleetContext,
} from '../connection/fleet-contexts.ts';
import { listLook } from '../lists.ts';
import { spec, verb, type Argument, type Verb, type Input, type Run } from '../verb.ts';

const name = {
  kind: 'context',
  summary: 'its name',
  required: true,
} as const satisfies Argument;

const contextListSpec = spec({
  name: 'list',
  aliases: ['ls'],
  summary: 'list the contexts of this user, and the current one',
  examples: ['context list'],
  json: 'contexts',
});

const list: Run<typeof contextListSpec> = async (input, context) => {
  const { current: kept, contexts } = readContexts(context.env);
  const current = context.env['GODWIT_CONTEXT'] || kept;
  const all = Object.entries(contexts).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const shown = all.map(([name, each]) => ({ name, current: name === current, ...each }));
  if (input.json) return printJson(context, { contexts: shown });
  const rows = shown.map((each) => [
    each.name,
    each.current ? 'yes' : '',
    printable(each.agent ?? (each.lab === undefined ? '' : `lab ${each.lab}`)),
    printable(each.controller ?? ''),
    printable(each.certificates ?? ''),
  ]);
  const head = ['CONTEXT', 'IN USE', 'AGENT', 'CONTROLLER', 'CERTIFICATES'];
  context.out.write(
    rows.length === 0 ? 'no contexts\n' : renderTable(head, rows, listLook(context, {})),
  );
};

const contextSetSpec = spec({
  name: 'set',
  summary: 'make a context, or change the given settings of one',
  details:
    'The first context becomes the current one. A flag with an empty value removes the setting from the context. An ' +
    'agent replaces a lab, and a lab replaces an agent.',
  args: { name },
  flags: {
    agent: {
      kind: 'text',
      value: 'where',
      summary: 'the agent to use: the path of a Unix socket, or https://[NAME@]HOST:PORT',
    },
    lab: { kind: 'text', value: 'name', summary: 'or the lab to use' },
    controller: {
      kind: 'text',
      value: 'where',
      summary:
        'the controller of the fleet: https://[NAME@]HOST:PORT, or the path of its Unix socket',
    },
    certificates: {
      kind: 'file',
      value: 'directory',
      summary: 'directory with ca.crt, operator.crt and operator.key, for https://',
    },
  },
  examples: [
    'context set prod --agent https://rack1:7443 --certificates ~/.godwit',
    'context set prod --controller https://control:7444',
    'context set try --lab lab',
  ],
  json: '{ name, current, agent?, lab?, controller?, certificates? }',
});

const set: Run<typeof contextSetSpec> = async (input, context) => {
  const { name } = input.args;
  if (!contextName.safeParse(name).success)
    throw usage(`${name.slice(0, 80)} is no name for a context: use letters, digits, - . and _`);
  const before = readContexts(context.env);
  const after = withContext(before, name, changesOf(input.flags));
  const made = contextOf(after.contexts, name);
  if (Object.keys(made).length === 0)
    throw usage(`the context ${name} would say nothing: name an agent, a lab or a controller`);
  writeContexts(context.env, after);
  const current = after.current === name;
  if (input.json) return printJson(context, { name, current, ...made });
  context.out.write(
    current
      ? `The context ${name} is saved, and in use.\n`
      : `The context ${name} is saved.\nNext: godwit context use ${name}\n`,
  );
};

/** Checked before they are stored, so that a stored context works. */
function changesOf(flags: Input<typeof contextSetSpec>['flags']): FleetContext {
  const { agent, lab, controller, certificates } = flags;
  if (agent && lab) throw usage('a context has an agent or a lab, not both');
  const whole = certificates && path.resolve(certificates);
  if (whole) credentials({}, whole);
  return {
    agent: agent && placeOf('--agent', agent),
    lab,
    controller: controller && placeOf('--controller', controller),
    certificates: whole,
  };
}

function placeOf(flag: string, where: string): string {
  if (where.startsWith('https://')) namedAgent(where, flag);
  else if (where.includes('://')) throw usage(`${flag} cannot be ${where.slice(0, 80)}`);
  else return path.resolve(where.replace(/^unix:/, ''));
  return where;
}

const contextUseSpec = spec({
  name: 'use',
  summary: 'select the current context; without a name, none',
  args: {
    name: { kind: 'context', summary: "the context's name; without it, no context is current" },
  },
  examples: ['context use prod', 'context use'],
  json: '{ current? }',
});

const use: Run<typeof contextUseSpec> = async (input, context) => {
  const { contexts } = readContexts(context.env);
  const { name: current } = input.args;
  if (current !== undefined) contextOf(contexts, current);
  writeContexts(context.env, { current, contexts });
  if (input.json) return printJson(context, { current });
  context.out.write(
    current === undefined ? 'No context is in use.\n' : `The context ${current} is in use.\n`,
  );
  const named = context.env['GODWIT_CONTEXT'];
  if (named && named !== current)
    context.err.write(`In this shell GODWIT_CONTEXT names ${printable(named)}, which counts.\n`);
};

const contextRemoveSpec = spec({
  name: 'remove',
  aliases: ['rm'],
  summary: 'remove a context; its certificates and agents stay unchanged',
  args: { name },
  examples: ['context remove try'],
  json: '{ removed }',
});

const remove: Run<typeof contextRemoveSpec> = async (input, context) => {
  const { name: removed } = input.args;
  const before = readContexts(context.env);
  contextOf(before.contexts, removed);
  writeContexts(context.env, withoutContext(before, removed));
  if (input.json) return printJson(context, { removed });
  const none = before.current === removed ? ' None is in use now.' : '';
  context.out.write(`The context ${removed} is forgotten.${none}\n`);
};

function usage(what: string): Error {
  return godwitError('GODWIT_USAGE', { what }, { hint: 'See `godwit context set --help`.' });
}

export const CONTEXT_VERBS: readonly Verb[] = [
  verb(contextListSpec, async () => ({ run: list })),
  verb(contextSetSpec, async () => ({ run: set })),
  verb(contextUseSpec, async () => ({ run: use })),
  verb(contextRemoveSpec, async () => ({ run: remove })),
];
