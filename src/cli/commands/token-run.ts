import { printJson } from '../context.ts';
import { listLook } from '../lists.ts';
import { printable } from '../../words/style.ts';
import { renderTable } from '../../words/table.ts';
import type { Run } from '../verb.ts';
import { atController } from '../wishes.ts';
import type { tokenCreateSpec, tokenListSpec, tokenRevokeSpec } from './token.ts';

export const create: Run<typeof tokenCreateSpec> = (input, context) =>
  atController(input.flags.controller, input.connection, context, async (api) => {
    const { role = 'viewer', expires } = input.flags;
    const end = expires === undefined ? {} : { expiresInMs: Math.round(expires) };
    const made = await api.createToken({ body: { name: input.args.name, role, ...end } });
    if (input.json) return printJson(context, made);
    // The secret alone on its line, so that it can be taken from there; the words are for people.
    context.out.write(`${made.token}\n`);
    const until = made.entry.expiresAt === undefined ? '' : ` until ${made.entry.expiresAt}`;
    context.err.write(
      `${made.entry.name} may sign in as ${role}${until}. Keep it: it is shown once.\n`,
    );
  });

export const list: Run<typeof tokenListSpec> = (input, context) =>
  atController(input.flags.controller, input.connection, context, async (api) => {
    const answer = await api.tokens();
    if (input.json) return printJson(context, answer);
    const rows = answer.tokens.map(
      ({ name, role, createdBy, expiresAt = 'never', usedAt = 'never' }) => [
        name,
        role,
        printable(createdBy),
        usedAt,
        expiresAt,
      ],
    );
    const head = ['NAME', 'ROLE', 'MADE BY', 'USED LAST', 'EXPIRES'];
    context.out.write(
      rows.length === 0 ? 'no tokens\n' : renderTable(head, rows, listLook(context, {})),
    );
  });

export const revoke: Run<typeof tokenRevokeSpec> = (input, context) =>
  atController(input.flags.controller, input.connection, context, async (api) => {
    const { name } = input.args;
    const answer = await api.revokeToken({ params: { name } });
    if (input.json) return printJson(context, answer);
    context.out.write(`${name} counts no more\n`);
  });
