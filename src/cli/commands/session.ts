import { spec, verb, type Flag, type Verb } from '../verb.ts';

const controller = {
  kind: 'text',
  value: 'where',
  summary: "the controller: its unix socket's path (default: $GODWIT_CONTROLLER)",
} as const satisfies Flag;

export const sessionListSpec = spec({
  name: 'list',
  summary: "the sessions of people's browsers at a controller, newest first",
  flags: {
    name: { kind: 'text', value: 'name', summary: 'only the sessions of this name' },
    limit: { kind: 'count', summary: 'the number of sessions to show', preset: '200' },
    controller,
  },
  examples: ['session list', 'session list --name ann'],
  usesAgent: true,
  json: 'sessions',
});

export const sessionEndSpec = spec({
  name: 'end',
  summary: 'end one session by its id, or all sessions of one name',
  details:
    'Open pages of the session lose their access within 5 s. A person may sign in again: first remove the role at the ' +
    "provider, or revoke the token with `godwit token revoke`, which ends the token's sessions too.",
  args: { id: { kind: 'text', summary: 'its id' } },
  flags: {
    name: { kind: 'text', value: 'name', summary: 'all sessions of this name' },
    controller,
  },
  examples: ['session end 5f0c1d2e3a4b5c6d', 'session end --name ann'],
  usesAgent: true,
  json: '{ ok } or { ended }',
});

/** The verbs of `godwit session`. */
export const SESSION_VERBS: readonly Verb[] = [
  verb(sessionListSpec, async () => ({ run: (await import('./session-run.ts')).list })),
  verb(sessionEndSpec, async () => ({ run: (await import('./session-run.ts')).end })),
];
