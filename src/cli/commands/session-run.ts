import { godwitError } from '../../errors.ts';
import type { SessionEntry } from '../../protocol/controller/session.ts';
import { MAX_PER_PAGE } from '../../protocol/public/page.ts';
import { printJson } from '../context.ts';
import { listLook } from '../lists.ts';
import { printable } from '../../words/style.ts';
import { renderTable } from '../../words/table.ts';
import type { Run } from '../verb.ts';
import { atController } from '../wishes.ts';
import type { sessionEndSpec, sessionListSpec } from './session.ts';

export const list: Run<typeof sessionListSpec> = (input, context) =>
  atController(input.flags.controller, input.connection, context, async (api) => {
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

export const end: Run<typeof sessionEndSpec> = (input, context) =>
  atController(input.flags.controller, input.connection, context, async (api) => {
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
  return [id, printable(name), role, printable(means), createdAt, expiresAt];
}
