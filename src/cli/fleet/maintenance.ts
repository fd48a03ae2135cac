import { godwitError } from '../../errors.ts';
import { maintenanceNote } from '../../protocol/controller/maintenance.ts';
import { printJson } from '../context.ts';
import type { maintenanceSpec } from './specs.ts';
import type { Run } from '../verb.ts';
import { atController } from './at-controller.ts';

export const run: Run<typeof maintenanceSpec> = (input, context) => {
  const { host } = input.args;
  const note = noteOf(input.flags);
  return atController(input.connection, context, async (api) => {
    const answer = await api.setMaintenance({ params: { host }, body: { note } });
    if (input.json) return printJson(context, answer);
    context.out.write(
      note === null
        ? `${host}: the note is taken away\n`
        : `${host}: noted; no guest comes to it until \`godwit maintenance ${host} --clear\`\n`,
    );
  });
};

/** Null clears the note. GODWIT_USAGE for both, neither, or a long note. */
function noteOf({ note, clear }: { note?: string | undefined; clear?: boolean | undefined }) {
  const isClear = clear === true;
  if ((note !== undefined) === isClear)
    throw godwitError(
      'GODWIT_USAGE',
      { what: isClear ? '--note and --clear are both given' : 'no note is given' },
      { hint: 'Say --note "why", or --clear.' },
    );
  if (note === undefined) return null;
  const made = maintenanceNote.safeParse(note);
  if (made.success) return made.data;
  const hint = 'Give 1 to 500 characters.';
  throw godwitError('GODWIT_USAGE', { what: `--note has ${note.length} characters` }, { hint });
}
