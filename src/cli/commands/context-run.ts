import path from 'node:path';
import { godwitError } from '../../errors.ts';
import { credentials, namedAgent } from '../credentials.ts';
import { printJson } from '../context.ts';
import {
  contextName,
  contextOf,
  readContexts,
  withContext,
  withoutContext,
  writeContexts,
  type FleetContext,
} from '../fleet-contexts.ts';
import { listLook } from '../lists.ts';
import { printable } from '../../words/style.ts';
import { renderTable } from '../../words/table.ts';
import type { Input, Run } from '../verb.ts';
import type {
  contextListSpec,
  contextRemoveSpec,
  contextSetSpec,
  contextUseSpec,
} from './context.ts';

export const list: Run<typeof contextListSpec> = async (input, context) => {
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

export const set: Run<typeof contextSetSpec> = async (input, context) => {
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

/** Looked at before they are kept, so that what is kept can be used. */
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

export const use: Run<typeof contextUseSpec> = async (input, context) => {
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

export const remove: Run<typeof contextRemoveSpec> = async (input, context) => {
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
