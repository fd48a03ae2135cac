import type { GuestInfo } from '../../protocol/public/hosts/host.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import { godwitError } from '../../errors.ts';
import type { Context } from '../context.ts';
import { askAny, incomplete, type AgentSet } from '../connection/agent-set.ts';
import { sayIncomplete } from '../failure.ts';
import { allGuests } from './fleet-guests.ts';
import { controllerNamed } from '../connection/controller-place.ts';
import { listFleetGuests, withController } from '../connection/fleet-lists.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { movingWords } from '../../words/moving.ts';
import type { Painter } from '../../words/style.ts';
import { renderTable, type Look } from '../../words/table.ts';
import { labelsCell, listing, printList, widened } from '../lists.ts';
import type { guestsSpec } from './specs.ts';

export const run = listing<typeof guestsSpec>(async (input, context) => {
  const { connection, flags, json } = input;
  const { on, fresh } = flags;
  const where = controllerNamed(connection, context.env);
  if (where !== undefined) {
    if (fresh) {
      const what = '--fresh is for agents; a controller answers from the reports of its hosts';
      throw godwitError('GODWIT_USAGE', { what });
    }
    await withController(where, connection, context.env, (api) =>
      listFleetGuests(api, { json, flags, on }, context),
    );
    return 0;
  }
  const fleet = await context.connect(connection);
  try {
    const { items, missing: silent } = await allGuests(fleet, fresh);
    const guests = on === undefined ? items : items.filter((each) => isOn(each, on));
    const missing = on === undefined ? silent : silent.filter(({ host }) => host === on);
    if (on !== undefined && guests.length + missing.length === 0) await checkHost(fleet, on);
    const lacks = incomplete('the list of guests', missing);
    const names = guests.map(({ name }) => name);
    printList(context, input, { answer: { guests, missing }, names }, (look) =>
      printGuests(context, guests, lacks !== undefined, look),
    );
    return lacks === undefined ? 0 : sayIncomplete(context, lacks);
  } finally {
    fleet.close();
  }
});

function printGuests(
  context: Context,
  guests: readonly GuestInfo[],
  isPart: boolean,
  look: Look,
): void {
  if (guests.length === 0)
    return context.out.write(isPart ? 'no guests on the hosts that answered\n' : 'no guests\n');
  context.out.write(
    renderTable(
      widened(
        ['GUEST', 'HOST', 'STATE', 'MEMORY', 'VCPUS', 'MACHINE', 'HYPERVISOR', 'NOTE'],
        ['UUID', 'BRIDGES', 'LABELS'],
        look,
      ),
      guests.map((guest) =>
        widened(
          guestRow(guest, look.paint),
          [guest.uuid, bridges(guest), labelsCell(guest.labels)],
          look,
        ),
      ),
      look,
    ),
  );
}

/** A moving guest is on both of its hosts. */
function isOn({ host, moving }: GuestInfo, on: string): boolean {
  return host === on || moving?.from === on || moving?.to === on;
}

async function checkHost(fleet: AgentSet, host: string): Promise<void> {
  const { hosts } = await askAny(fleet, (endpoint) => endpoint.api.hosts());
  if (hosts.some((each) => each.name === host)) return;
  const near = didYouMean(
    host,
    hosts.map((each) => each.name),
  );
  const hint = near === undefined ? {} : { hint: `${near} \`godwit hosts\` lists all.` };
  throw godwitError('GODWIT_HOST_UNKNOWN', { host: host.slice(0, 80) }, hint);
}

function guestRow(guest: GuestInfo, paint: Painter): string[] {
  return [
    guest.name,
    guest.host,
    guest.state === 'running' ? paint.green(guest.state) : guest.state,
    guest.memoryBytes === undefined ? '-' : formatBytes(guest.memoryBytes),
    guest.vcpus === undefined ? '-' : String(guest.vcpus),
    guest.machineType ?? '-',
    `${guest.driver} ${guest.hypervisorVersion ?? ''} ${guest.accelerator ?? ''}`.trim(),
    noteOf(guest, paint),
  ];
}

function bridges({ nics }: GuestInfo): string | undefined {
  const names = nics.flatMap(({ bridge }) => bridge ?? []);
  return names.length === 0 ? undefined : [...new Set(names)].join(',');
}

function noteOf(guest: GuestInfo, paint: Painter): string {
  const own = guest.ownName === undefined ? [] : [`calls itself ${guest.ownName}`];
  return [...own, ...stateNote(guest, paint)].join('; ');
}

function stateNote(guest: GuestInfo, paint: Painter): string[] {
  if (guest.migration !== undefined) return [paint.cyan(movingWords(guest))];
  if (guest.manager !== undefined) return [paint.yellow(`managed by ${guest.manager}`)];
  const [first] = guest.unmovable;
  if (first !== undefined) return [paint.yellow(`cannot move: ${first}`)];
  return (guest.warnings ?? []).slice(0, 1).map((warning) => paint.yellow(warning));
}
