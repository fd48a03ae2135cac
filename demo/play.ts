import { contextPainter } from '../src/cli/render/paint.ts';
import type { AgentSet } from '../src/cli/connection/agent-set.ts';
import type { ClientView } from '../lab/probe/probe.ts';
import type { StreamMode } from '../src/protocol/public/migration.ts';
import { askGuest, findLeftovers, moveAndLook } from './moves.ts';
import type { GuestWord, Outcome } from './outcome.ts';
import { hostsOf, type Stage } from './stage.ts';
import { modeWords, moveLine } from './text.ts';
import type { World } from './world.ts';

const PROGRAMME: readonly StreamMode[] = ['precopy', 'postcopy', 'hybrid'];
/** A container goes there and back. */
const OF_CONTAINER: readonly StreamMode[] = ['precopy', 'precopy'];

/** What has been played so far; filled in as it goes on, so that a broken-off demo reports what it has. */
export interface PlayRecord {
  readonly stage: Stage;
  readonly outcomes: Outcome[];
  readonly leftBehind: string[];
  client?: { readonly view: ClientView; readonly oneConnection: boolean };
  /** Where the guest is now. */
  guestOn?: string;
}

/** Moves the guest to the other host and back in each mode. `reasons`: why a mode cannot be tried here. */
export async function play(
  world: World,
  played: PlayRecord,
  reasons: Partial<Record<StreamMode, string>>,
): Promise<void> {
  const { context, signal } = world;
  const { stage, outcomes } = played;
  const fleet = await context.connect({ lab: stage.lab.name });
  try {
    let word: GuestWord | undefined = await askGuest(stage, signal);
    for (const mode of stage.isContainer ? OF_CONTAINER : PROGRAMME) {
      const reason = reasons[mode];
      if (reason !== undefined) outcomes.push({ mode, skipped: reason, failing: false });
      else word = await playMode(world, played, fleet, { mode, word });
    }
    const [host] = await hostsOf(stage);
    if (host !== undefined) played.guestOn = host;
    played.leftBehind.push(...(await findLeftovers(stage, context, signal)));
    const view = await stage.client.read();
    const { localPort, connectedAtMs } = stage.connected;
    const same = view.localPort === localPort && view.connectedAtMs === connectedAtMs;
    const oneConnection = same && view.connected && view.lost === 0 && view.doubled === 0;
    played.client = { view, oneConnection };
  } finally {
    fleet.close();
  }
}

/** One mode; returns the guest's word after it, or undefined when nothing more can be played. */
async function playMode(
  { context, signal }: World,
  { stage, outcomes }: PlayRecord,
  fleet: AgentSet,
  { mode, word }: { readonly mode: StreamMode; readonly word: GuestWord | undefined },
): Promise<GuestWord | undefined> {
  const paint = contextPainter(context);
  const hosts = await hostsOf(stage);
  const [from] = hosts;
  const to = stage.lab.hosts.find((host) => host !== from);
  if (word === undefined || from === undefined || to === undefined || hosts.length !== 1) {
    const skipped = `the move before left no guest to go on with (running on: ${hosts.join(', ') || 'none'})`;
    outcomes.push({ mode, skipped, failing: true });
    return undefined;
  }
  context.out.write(`\n${paint.bold(modeWords(mode))}  ${from} → ${to}\n`);
  const move = { mode, from, to };
  const moved = await moveAndLook(stage, fleet, context, { move, before: word, signal });
  outcomes.push(moved.result);
  context.out.write(`${moveLine(moved.result, paint)}\n`);
  return moved.word;
}
