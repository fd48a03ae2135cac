import { godwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import { diskMoveRequest, type DiskMoveRequest } from '../../protocol/public/disk-move.ts';
import { printJson } from '../context.ts';
import { followDiskMove } from './disk-moves.ts';
import { wrongValue } from './flag-bounds.ts';
import { askAtHome } from '../guests/home.ts';
import type { moveDiskSpec } from './specs.ts';
import { flagName } from '../values.ts';
import type { Input, Run } from '../verb.ts';

export const run: Run<typeof moveDiskSpec> = async (input, context) => {
  const body = requestOf(input);
  const fleet = await context.connect(input.connection);
  try {
    const { id, endpoint } = await askAtHome(fleet, body.guest, async (asked) => ({
      id: (await asked.api.moveDisk({ body })).id,
      endpoint: asked,
    }));
    if (input.flags.detach === true) {
      if (input.json) printJson(context, { id });
      else context.out.write(`${id}\n`);
      context.err.write(`The move goes on by itself; \`godwit watch ${id}\` follows it.\n`);
      return 0;
    }
    const show = input.json ? 'nothing' : 'people';
    return await followDiskMove(context, { endpoint, id, show, mayCancel: true });
  } finally {
    fleet.close();
  }
};

function requestOf({ args, flags }: Input<typeof moveDiskSpec>): DiskMoveRequest {
  const { guest, disk } = args;
  const { to, maxBandwidth, keepSource } = flags;
  if (to === undefined) {
    throw godwitError(
      'GODWIT_USAGE',
      { what: 'godwit move-disk needs --to PLACE' },
      {
        hint: `\`godwit guest ${guest}\` shows where its disks are. See \`godwit move-disk --help\`.`,
      },
    );
  }
  const parsed = diskMoveRequest.safeParse({
    guest,
    disk,
    to,
    ...defined({ maxBandwidth }),
    ...(keepSource === true ? { keepSource } : {}),
  });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = String(issue?.path[0] ?? '');
  const where = field === 'maxBandwidth' || field === 'to' ? flagName(field) : `the ${field}`;
  const why = issue === undefined ? 'not accepted' : wrongValue(diskMoveRequest, issue);
  throw godwitError(
    'GODWIT_USAGE',
    { what: `${where}: ${why}` },
    { hint: 'See `godwit move-disk --help`.', cause: parsed.error },
  );
}
