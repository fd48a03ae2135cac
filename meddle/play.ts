/** One run on the stage: the guest starts, moves, is meddled with, and is judged. */
import path from 'node:path';
import { labHost } from '../lab/state.ts';
import { namespaceOf } from '../lab/plan.ts';
import { Actor } from './actor.ts';
import { returnPorts } from './host-hands.ts';
import type { Hands } from './owner.ts';
import { look, remainsLater, settled } from './look.ts';
import { move, type MoveResult, type Players } from './move.ts';
import type { Act, Orders } from './orders.ts';
import type { Plan, Scene } from './plan.ts';
import { hostStates, type HostPlaces, type HostState } from './remains.ts';
import type { Ground, StagedGuest } from './ground.ts';
import { judge, type Outcome, type PlayObservation } from './verdict.ts';
import { fileKey, Witness, type WitnessRequest } from './witness.ts';

const BOOT_ANSWER_S = 30;
const DISK_BYTES = 24 * 1024 ** 2;

export interface PlayResult {
  readonly plan: Plan;
  readonly problems: readonly string[];
  readonly outcome: Outcome;
  readonly reason: string;
  readonly acts: readonly Act[];
  readonly tookMs: number;
}

export async function play(stage: Ground, plan: Plan, name: string): Promise<PlayResult> {
  const start = performance.now();
  const before = await hostStates(placesOf(stage));
  const guest = await stage.boot(name, plan.scene);
  const undone: (() => Promise<unknown>)[] = [];
  const soon: (() => Promise<unknown>)[] = [];
  const kept = new Map<string, string | undefined>();
  const witness = await Witness.open(witnessRequest(stage, guest), stage.from);
  const hands: Hands = {
    witness,
    scene: plan.scene,
    from: stage.from,
    to: stage.to,
    namespaces: Object.fromEntries(placesOf(stage).map((each) => [each.host, each.namespace])),
    storage: Object.fromEntries(stage.lab.hosts.map((host) => [host, stage.ownStorage(host)])),
    qemu: guest.qemu,
    guest: name,
    mac: guest.mac,
    fileOn: (host, file) => stage.fileOn(host, file),
    manage: stage.manage === undefined ? undefined : (host, words) => manage(stage, host, words),
    own: guest.own,
    otherMedium: guest.otherMedium,
    later: (undo) => undone.push(undo),
    soon: (undo) => soon.push(undo),
    keep: (file) => kept.set(file, fileKey(file)),
  };
  try {
    const boot = (await witness.askGuest('stats', BOOT_ANSWER_S))?.['bootId'];
    const actor = new Actor(hands, firstOrders(stage, guest, plan.scene));
    const ended = await move(stage, plan, name, { witness, actor });
    const seen = await judgeable({ stage, name, witness, actor, before, kept, boot, soon }, ended);
    return {
      plan,
      problems: judge(actor.orders, actor.acts, seen, plan.scene),
      outcome: ended.outcome,
      reason: ended.reason,
      acts: actor.acts,
      tookMs: Math.round(performance.now() - start),
    };
  } finally {
    await witness.close();
    for (const undo of [...soon, ...undone]) await undo().catch(() => undefined);
    await stage.remove(guest);
  }
}

interface PlayState extends Players {
  readonly stage: Ground;
  readonly name: string;
  readonly before: readonly HostState[];
  /** Files of the owner that must stay as they are. */
  readonly kept: ReadonlyMap<string, string | undefined>;
  readonly boot: unknown;
  /** Undone before the guest is asked. */
  readonly soon: readonly (() => Promise<unknown>)[];
}

/** What is there once the move is over, before anything is taken away. */
async function judgeable(
  { stage, name, witness, actor, before, kept, boot, soon }: PlayState,
  ended: MoveResult,
): Promise<PlayObservation> {
  const copies = await settled(witness, actor.orders);
  const files = [...kept].flatMap(([file, key]) =>
    key === fileKey(file) ? [] : [`${file} is not there any more`],
  );
  const at = copies.map(({ host }) => host);
  const remains = await remainsLater(placesOf(stage), before, {
    name,
    at: at.length > 0 ? at : [ended.outcome === 'done' ? stage.to : stage.from],
    owned: [...kept.keys()].map((file) =>
      path.join('storage', path.relative(stage.ownStorage(stage.from), file)),
    ),
  });
  for (const { namespace } of placesOf(stage)) await returnPorts(namespace);
  for (const undo of soon) await undo();
  const looked = await look(witness, actor.orders, copies, boot);
  const found = { ...ended, ...looked, copies, files, remains };
  return { from: stage.from, to: stage.to, ...found, bothRan: witness.bothRan() };
}

function witnessRequest(stage: Ground, { name, address }: StagedGuest): WitnessRequest {
  return {
    guest: name,
    address,
    clientNamespace: namespaceOf(stage.lab.name, 'client'),
    places: placesOf(stage).map(({ host, namespace }) => {
      return { host, namespace, guestDir: stage.guestDirectory(host, name) };
    }),
  };
}

function placesOf(stage: Ground): HostPlaces[] {
  const { lab } = stage;
  return lab.hosts.map((host) => {
    const { namespace, stateDir } = labHost(lab, host);
    return { host, namespace, stateDir, storageDir: stage.ownStorage(host) };
  });
}

async function manage(stage: Ground, host: string, words: readonly string[]): Promise<string> {
  return (await stage.manage?.(host, words)) ?? '';
}

function firstOrders(
  stage: Ground,
  { disks, medium, devices }: StagedGuest,
  { mode }: Scene,
): Orders {
  return {
    run: ['running'],
    disks: Object.fromEntries(
      disks.map(({ id, file, isShared }) => [
        id,
        {
          isShared,
          files: [fileKey(stage.fileOn(stage.from, file)) ?? ''],
          bytes: [DISK_BYTES],
          limits: [0],
        },
      ]),
    ),
    medium: [medium],
    devices: new Set([...devices, ...disks.map(({ id }) => id)]),
    gone: new Set(),
    link: ['up'],
    bridge: ['br0'],
    port: { isolated: [false], flood: [true], limited: [false] },
    hasPassword: false,
    processors: [1],
    jobs: new Set(),
    // A cold move starts the guest again.
    isRebooted: mode === 'cold',
  };
}
