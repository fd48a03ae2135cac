import { godwitError } from '../../errors.ts';
import type { SessionEntry } from '../../protocol/controller/session.ts';
import { MAX_PER_PAGE } from '../../protocol/public/page.ts';
import { printable } from '../../words/style.ts';
import { renderTable } from '../../words/table.ts';
import { formatMoment } from '../../protocol/quantity.ts';
import { printJson } from '../context.ts';
import { listLook } from '../lists.ts';
import { spec, verb, type Verb, type Run } from '../verb.ts';
import { atController } from '../fleet/at-controller.ts';

const sessionListSpec = spec({
  name: 'list',
  summary: 'list the browser sessions at a controller, newest first',
  flags: {
    name: { kind: 'text', value: 'name', summary: 'only the sessions of this name' },
    limit: { kind: 'count', summary: 'the number of sessions to show', preset: '200' },
  },
  examples: ['session list', 'session list --name ann'],
  uses: 'controller',
  json: 'sessions',
});

const list: Run<typeof sessionListSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { name, limit = 200 } = input.flags;
    const query = { name, limit: Math.min(MAX_PER_PAGE, Math.max(1, limit)) };
    const answer = await api.sessions({ query });
    if (input.json) return printJson(context, answer);
    const head = ['ID', 'NAME', 'ROLE', 'SIGNED IN WITH', 'SINCE', 'EXPIRES'];
    const rows = answer.sessions.map(rowOf);
    context.out.write(
      rows.length === 0 ? 'no sessions\n' : renderTable(head, rows, listLook(context, {})),
    );
    if (answer.next !== undefined)
      context.out.write('older sessions are not shown: --limit shows more\n');
  });

const sessionEndSpec = spec({
  name: 'end',
  summary: 'end one session by its id, or all sessions of one name',
  details:
    'Open pages of the session lose their access within 5 s. A person may sign in again: first remove the role at the ' +
    "provider, or revoke the token with `godwit token revoke`, which ends the token's sessions too.",
  args: { id: { kind: 'text', summary: "the session's id" } },
  flags: {
    name: { kind: 'text', value: 'name', summary: 'all sessions of this name' },
  },
  examples: ['session end 5f0c1d2e3a4b5c6d', 'session end --name ann'],
  uses: 'controller',
  json: '{ ok } or { ended }',
});

const end: Run<typeof sessionEndSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { id } = input.args;
    const { name } = input.flags;
    if ((id === undefined) === (name === undefined)) {
      const hint = { hint: 'Run `godwit session list` for ids and names.' };
      throw godwitError('GODWIT_USAGE', { what: 'give the id of a session, or --name' }, hint);
    }
    if (id !== undefined) {
      const answer = await api.endSession({ params: { id } });
      if (input.json) return printJson(context, answer);
      context.out.write(`session ${id} ended\n`);
      return;
    }
    const answer = await api.endSessions({ query: { name: name ?? '' } });
    if (input.json) return printJson(context, answer);
    const { ended } = answer;
    context.out.write(
      `${ended} ${ended === 1 ? 'session' : 'sessions'} of ${printable(name ?? '')} ended\n`,
    );
  });

function rowOf({ id, name, role, token, subject, createdAt, expiresAt }: SessionEntry): string[] {
  const means = token === undefined ? `the provider, as ${subject ?? '-'}` : `the token ${token}`;
  return [
    id,
    printable(name),
    role,
    printable(means),
    formatMoment(createdAt),
    formatMoment(expiresAt),
  ];
}

export const SESSION_VERBS: readonly Verb[] = [
  verb(sessionListSpec, async () => ({ run: list })),
  verb(sessionEndSpec, async () => ({ run: end })),
];
