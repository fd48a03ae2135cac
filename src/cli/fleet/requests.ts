import { printJson } from '../context.ts';
import { listLook } from '../lists.ts';
import { printView } from '../render/paint.ts';
import { printable } from '../../words/style.ts';
import { renderTable } from '../../words/table.ts';
import type { requestsSpec } from './specs.ts';
import type { Run } from '../verb.ts';
import { atController, requestText } from './at-controller.ts';

export const run: Run<typeof requestsSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { id } = input.args;
    const look = listLook(context, {});
    if (id !== undefined) {
      const answer = await api.request({ params: { id } });
      if (input.json) return printJson(context, answer);
      printView(context, requestText(answer.request));
      const rows = answer.moves.map(({ id: move, guest, from, to, phase, error }) => [
        move,
        guest,
        `${from} → ${to}`,
        phase,
        error === undefined ? '' : printable(error.message),
      ]);
      if (rows.length > 0)
        context.out.write(renderTable(['MIGRATION', 'GUEST', 'MOVE', 'STATE', 'NOTE'], rows, look));
      return;
    }
    const answer = await api.requests();
    if (input.json) return printJson(context, answer);
    const rows = answer.requests.map(({ id: request, ask, phase, moved, words }) => [
      request,
      ask.kind,
      ask.guest ?? ask.hosts.join(', '),
      phase,
      String(moved),
      printable(words),
    ]);
    const head = ['REQUEST', 'KIND', 'OF', 'STATE', 'MOVED', 'WHERE IT STANDS'];
    context.out.write(rows.length === 0 ? 'no requests\n' : renderTable(head, rows, look));
  });
