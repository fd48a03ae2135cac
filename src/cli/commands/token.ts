import { spec, verb, type Flag, type Verb } from '../verb.ts';

const controller = {
  kind: 'text',
  value: 'where',
  summary: "the controller: its unix socket's path (default: $GODWIT_CONTROLLER)",
} as const satisfies Flag;

export const tokenCreateSpec = spec({
  name: 'create',
  summary: 'make a token for a person or a program, and print its secret',
  details:
    'The secret is printed once and kept nowhere. A viewer reads; an operator also asks for drains and migrations; an admin ' +
    'also makes and revokes tokens. Only a user who may open the socket of the controller, or an admin, makes tokens.',
  args: { name: { kind: 'text', summary: 'whom it is for', required: true } },
  flags: {
    role: {
      kind: 'choice',
      choices: ['viewer', 'operator', 'admin'],
      summary: 'its role',
      preset: 'viewer',
    },
    expires: { kind: 'duration', summary: 'from now; until it is revoked when left out' },
    controller,
  },
  examples: ['token create ann --role operator --expires 90d', 'token create prometheus'],
  usesAgent: true,
  json: 'newToken',
});

export const tokenListSpec = spec({
  name: 'list',
  summary: 'the tokens that count, and when each was used last',
  flags: { controller },
  examples: ['token list'],
  usesAgent: true,
  json: 'tokens',
});

export const tokenRevokeSpec = spec({
  name: 'revoke',
  summary: 'revoke a token, and end the sessions that were begun with it',
  args: { name: { kind: 'text', summary: 'its name', required: true } },
  flags: { controller },
  examples: ['token revoke ann'],
  usesAgent: true,
  json: '{ ok }',
});

/** The verbs of `godwit token`. */
export const TOKEN_VERBS: readonly Verb[] = [
  verb(tokenCreateSpec, async () => ({ run: (await import('./token-run.ts')).create })),
  verb(tokenListSpec, async () => ({ run: (await import('./token-run.ts')).list })),
  verb(tokenRevokeSpec, async () => ({ run: (await import('./token-run.ts')).revoke })),
];
