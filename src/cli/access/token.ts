import { printable } from '../../words/style.ts';
import { renderTable } from '../../words/table.ts';
import { formatMoment } from '../../protocol/quantity.ts';
import { printJson } from '../context.ts';
import { listLook } from '../lists.ts';
import { spec, verb, type Verb, type Run } from '../verb.ts';
import { atController } from '../fleet/at-controller.ts';

const tokenCreateSpec = spec({
  name: 'create',
  summary: 'make a token for a person or a program, and print its secret',
  details:
    'The secret is printed once and not stored. A viewer can read; an operator can also request drains and ' +
    "migrations; an admin can also make and revoke tokens. Only an admin, or a user who may open the controller's " +
    'socket, can make tokens.',
  args: { name: { kind: 'text', summary: 'the person or program that it is for', required: true } },
  flags: {
    role: {
      kind: 'choice',
      choices: ['viewer', 'operator', 'admin'],
      summary: 'its role',
      preset: 'viewer',
    },
    expires: { kind: 'duration', summary: 'how long it is valid (default: until it is revoked)' },
  },
  examples: ['token create ann --role operator --expires 90d', 'token create prometheus'],
  uses: 'controller',
  json: 'newToken',
});

const create: Run<typeof tokenCreateSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { role = 'viewer', expires } = input.flags;
    const end = expires === undefined ? {} : { expiresInMs: Math.round(expires) };
    const made = await api.createToken({ body: { name: input.args.name, role, ...end } });
    if (input.json) return printJson(context, made);
    // Only the secret goes to standard output, for scripts.
    context.out.write(`${made.token}\n`);
    const until =
      made.entry.expiresAt === undefined ? '' : ` until ${formatMoment(made.entry.expiresAt)}`;
    context.err.write(
      `${made.entry.name} may sign in as ${role}${until}. Keep it: it is shown once.\n`,
    );
  });

const tokenListSpec = spec({
  name: 'list',
  summary: 'list the valid tokens, and when each was last used',
  examples: ['token list'],
  uses: 'controller',
  json: 'tokens',
});

const list: Run<typeof tokenListSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const answer = await api.tokens();
    if (input.json) return printJson(context, answer);
    const rows = answer.tokens.map(
      ({ name, role, createdBy, expiresAt = 'never', usedAt = 'never' }) => [
        name,
        role,
        printable(createdBy),
        formatMoment(usedAt),
        formatMoment(expiresAt),
      ],
    );
    const head = ['NAME', 'ROLE', 'MADE BY', 'USED LAST', 'EXPIRES'];
    context.out.write(
      rows.length === 0 ? 'no tokens\n' : renderTable(head, rows, listLook(context, {})),
    );
  });

const tokenRevokeSpec = spec({
  name: 'revoke',
  summary: 'revoke a token, and end its sessions',
  args: { name: { kind: 'text', summary: 'its name', required: true } },
  examples: ['token revoke ann'],
  uses: 'controller',
  json: '{ ok }',
});

const revoke: Run<typeof tokenRevokeSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { name } = input.args;
    const answer = await api.revokeToken({ params: { name } });
    if (input.json) return printJson(context, answer);
    context.out.write(`${name} counts no more\n`);
  });

export const TOKEN_VERBS: readonly Verb[] = [
  verb(tokenCreateSpec, async () => ({ run: create })),
  verb(tokenListSpec, async () => ({ run: list })),
  verb(tokenRevokeSpec, async () => ({ run: revoke })),
];
