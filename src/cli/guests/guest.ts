import { defined } from '../../protocol/defined.ts';
import type { GuestLoad } from '../../protocol/public/hosts/guest-load.ts';
import type { GuestInfo } from '../../protocol/public/hosts/host.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { printJson } from '../context.ts';
import { toGodwitError } from '../../errors.ts';
import type { CheckAnswer } from '../../protocol/public/check.ts';
import { incomplete, reachHost, type Endpoint } from '../connection/agent-set.ts';
import { sayIncomplete } from '../failure.ts';
import { findGuest } from './fleet-guests.ts';
import { labelsCell } from '../lists.ts';
import { loadPairs } from '../../words/guest-load.ts';
import { contextPainter, printView } from '../render/paint.ts';
import { movingWords } from '../../words/moving.ts';
import { printable, type Painter } from '../../words/style.ts';
import { renderPairs } from '../../words/table.ts';
import type { guestSpec } from './specs.ts';
import type { Run } from '../verb.ts';

/**
 * Names consist of letters, digits, . _ -, because they are used in files, commands and URLs. They also distinguish
 * namesakes.
 */
const WHY_ANOTHER = 'hosts use its name in the configuration, or a unique name in plain letters';

const CHECK_MS = 15_000;
const LOAD_MS = 5000;

export const run: Run<typeof guestSpec> = async (input, context) => {
  const fleet = await context.connect(input.connection);
  try {
    const { guest, home, missing } = await findGuest(fleet, input.args.guest);
    const asked = home ?? (await reachHost(fleet, guest.host));
    const [moves, load] = await Promise.all([
      checkedMoves(asked, guest.name),
      loadAt(asked, guest.name),
    ]);
    if (input.json) {
      const check = 'hosts' in moves ? { check: moves } : { unchecked: moves.unchecked };
      printJson(context, { ...guest, ...defined({ load }), ...check, missing });
    } else printView(context, guestText(guest, moves, contextPainter(context), load));
    // These hosts may have a namesake or the other end of its migration.
    const lacks = incomplete(`what is known of ${guest.name}`, missing);
    return lacks === undefined ? 0 : sayIncomplete(context, lacks);
  } finally {
    fleet.close();
  }
};

type Moves = CheckAnswer | { readonly unchecked: string };

/** The checks of `godwit migrate` to every host, so that no refusal is missing. */
async function checkedMoves(home: Endpoint | undefined, guest: string): Promise<Moves> {
  if (home === undefined) return { unchecked: "its host's agent is not at hand" };
  try {
    return await home.api.check({ body: { guest } }, { deadlineMs: CHECK_MS });
  } catch (thrown) {
    return { unchecked: toGodwitError(thrown).message };
  }
}

/** Undefined for an earlier build or an unavailable host. */
async function loadAt(home: Endpoint | undefined, guest: string): Promise<GuestLoad | undefined> {
  try {
    return await home?.api.guestLoad({ params: { guest } }, { deadlineMs: LOAD_MS });
  } catch {
    return undefined;
  }
}

function moveWords(moves: Moves, guest: GuestInfo, paint: Painter): string {
  if ('unchecked' in moves) {
    const more = `\`godwit migrate ${guest.name} --to any --dry-run\` looks`;
    return paint.yellow(printable(`not checked (${moves.unchecked}); ${more}`));
  }
  if (moves.hosts.length === 0) return paint.yellow('there is no other host');
  const words = moves.hosts.map(({ to, verdict, checks }) => {
    const [first, ...rest] = checks.filter((each) => each.verdict === verdict);
    const more =
      rest.length === 0
        ? ''
        : `; ${rest.length} more: \`godwit migrate ${guest.name} --to ${to} --dry-run\` names all`;
    const why = `${printable(`${first?.name ?? ''}: ${first?.evidence ?? ''}`)}${more}`;
    if (verdict === 'refuse') return paint.red(`not to ${to} (${why})`);
    return verdict === 'warn'
      ? paint.yellow(`to ${to}, with a warning (${why})`)
      : paint.green(`to ${to}`);
  });
  return words.join('; ');
}

export function guestText(
  guest: GuestInfo,
  moves: Moves,
  paint: Painter,
  load?: GuestLoad,
): string {
  const known = (value: string | number | undefined): string => printable(String(value ?? '-'));
  const nics = guest.nics.map(({ id, mac, bridge }) => `${id} ${mac} on ${bridge ?? 'no bridge'}`);
  const devices = guest.devices.map(({ id, type }) => `${id} (${type})`);
  const disks = (guest.disks ?? []).map((disk) => {
    return `${disk.name} ${disk.file} (${disk.format}, ${formatBytes(disk.bytes)})`;
  });
  return renderPairs(
    [
      ['guest', paint.bold(printable(guest.name))],
      ...(guest.ownName === undefined
        ? []
        : [['own name', `${printable(guest.ownName)} (${WHY_ANOTHER})`] as const]),
      ['host', guest.host],
      ['state', guest.state],
      ['memory', guest.memoryBytes === undefined ? '-' : formatBytes(guest.memoryBytes)],
      ['vcpus', known(guest.vcpus)],
      ['machine', known(guest.machineType)],
      ['hypervisor', printable(`${guest.driver} ${guest.hypervisorVersion ?? ''}`).trim()],
      ['accelerator', known(guest.accelerator)],
      ['uuid', known(guest.uuid)],
      ['process', known(guest.pid)],
      ['manager', known(guest.manager ?? 'none')],
      ['network', printable(nics.join(', ')) || 'none'],
      ...(disks.length === 0 ? [] : [['disks', printable(disks.join(', '))] as const]),
      ...(guest.labels === undefined
        ? []
        : [['labels', printable(labelsCell(guest.labels))] as const]),
      ...(load === undefined ? [] : loadPairs(load)),
      ['devices', printable(devices.join(', ')) || 'none'],
      ['migration', guest.migration === undefined ? 'none' : movingWords(guest)],
      ...(guest.unmovable.length === 0
        ? []
        : [['stops it', paint.yellow(guest.unmovable.map(printable).join('; '))] as const]),
      ...(guest.warnings === undefined
        ? []
        : [['warnings', paint.yellow(guest.warnings.map(printable).join('; '))] as const]),
      ['can move', moveWords(moves, guest, paint)],
    ],
    paint,
  );
}
