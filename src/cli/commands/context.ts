import { spec, verb, type Argument, type Verb } from '../verb.ts';

const name = {
  kind: 'context',
  summary: 'its name',
  required: true,
} as const satisfies Argument;

export const contextListSpec = spec({
  name: 'list',
  aliases: ['ls'],
  summary: 'the contexts of this user, and which is in use',
  examples: ['context list'],
  json: 'contexts',
});

export const contextSetSpec = spec({
  name: 'set',
  summary: 'make a context, or change what is given of one',
  details:
    'The first context is in use at once. A flag with an empty value removes what the context had. An agent replaces a lab, ' +
    'and a lab replaces an agent.',
  args: { name },
  flags: {
    agent: {
      kind: 'text',
      value: 'where',
      summary: "the agent to speak to: a unix socket's path or https://[NAME@]HOST:PORT",
    },
    lab: { kind: 'text', value: 'name', summary: 'or the lab whose agents to speak to' },
    controller: {
      kind: 'text',
      value: 'where',
      summary: 'the controller of the fleet: https://[NAME@]HOST:PORT or the path of its socket',
    },
    certificates: {
      kind: 'file',
      value: 'directory',
      summary: 'folder with ca.crt, operator.crt and operator.key, for https://',
    },
  },
  examples: [
    'context set prod --agent https://rack1:7443 --certificates ~/.godwit',
    'context set prod --controller https://control:7444',
    'context set try --lab lab',
  ],
  json: '{ name, current, agent?, lab?, controller?, certificates? }',
});

export const contextUseSpec = spec({
  name: 'use',
  summary: 'use a context from now on; without a name, none',
  args: { name: { kind: 'context', summary: 'its name; without one, no context is in use' } },
  examples: ['context use prod', 'context use'],
  json: '{ current? }',
});

export const contextRemoveSpec = spec({
  name: 'remove',
  aliases: ['rm'],
  summary: 'forget a context; certificates and agents stay as they are',
  args: { name },
  examples: ['context remove try'],
  json: '{ removed }',
});

/** The verbs of `godwit context`. */
export const CONTEXT_VERBS: readonly Verb[] = [
  verb(contextListSpec, async () => ({ run: (await import('./context-run.ts')).list })),
  verb(contextSetSpec, async () => ({ run: (await import('./context-run.ts')).set })),
  verb(contextUseSpec, async () => ({ run: (await import('./context-run.ts')).use })),
  verb(contextRemoveSpec, async () => ({ run: (await import('./context-run.ts')).remove })),
];
