/** One cell of a container, from a container that runs to the verdict. */
import { systemClock } from '../../src/clock.ts';
import { openProbe, type Probe } from '../../lab/probe/probe.ts';
import type { Cell } from '../cell.ts';
import type { Expectation } from '../expectation.ts';
import type { Injector } from '../inject/injector.ts';
import { JournalTail } from '../journal-tail.ts';
import { judge, type CellObservation } from '../judge.ts';
import { paceOf } from '../pace.ts';
import { MEMORY_MS, playedOf, strikeAndClear, untilEnd, type PlayResult } from '../play.ts';
import { recoveryMs } from '../recovery.ts';
import type { Stage } from '../stage.ts';
import { injectorOf } from './inject.ts';
import { BOX } from './plan.ts';
import { boxRemains } from './remains.ts';
import { untilMoment, type ContainerScene } from './scene.ts';
import { ContainerWitness } from './witness.ts';

/** Plays a cell on a container that runs; leaves the faults cleared and the agents up. */
export async function playContainer(
  stage: Stage,
  cell: Cell,
  expect: Expectation,
  chance: number,
): Promise<PlayResult> {
  const start = systemClock.monotonicMs();
  const from = stage.guests.get(BOX) ?? '';
  const to = stage.lab.hosts.find((host) => host !== from) ?? '';
  await stage.dirty(BOX, paceOf(cell).dirtyBytesPerSecond);
  const injector = await injectorOf(cell.fault, { lab: stage.lab, from, to, chance });
  const witness = new ContainerWitness(stage.lab, BOX);
  let probe: Probe | undefined;
  try {
    probe = await openProbe(stage.lab, BOX, { intervalMs: 10 });
    await probe.mark();
    const act = { cell, from, to, witness, probe, injector, expect, chance };
    const played = await play(stage, act);
    return { ...played, tookMs: Math.round(systemClock.monotonicMs() - start) };
  } finally {
    await injector.clear();
    await probe?.stop();
    await witness.close();
    await injector.afterwards?.();
    await stage.plainAgents();
  }
}

interface Act {
  readonly cell: Cell;
  readonly from: string;
  readonly to: string;
  readonly witness: ContainerWitness;
  readonly probe: Probe;
  readonly injector: Injector<ContainerScene>;
  readonly expect: Expectation;
  readonly chance: number;
}

async function play(stage: Stage, act: Act): Promise<Omit<PlayResult, 'tookMs'>> {
  const { cell, from, to, witness, probe, expect } = act;
  const { lab } = stage;
  const startedAtMs = systemClock.wallMs();
  const { mode } = cell;
  const body = { guest: BOX, to, mode, maxBandwidth: paceOf(cell).maxBandwidth };
  const { id } = await stage.agent(from).migrate({ body }, { deadlineMs: 30_000 });
  const [source, destination] = [
    new JournalTail(lab, from, id, 'source'),
    new JournalTail(lab, to, id, 'destination'),
  ];
  const tails = { source, destination };
  const scene: ContainerScene = { cell, lab, from, to, witness, ...tails, worker: undefined };
  // It may go on writing: the rounds of a container have a greatest number.
  const calm = async (): Promise<void> => undefined;
  const fault = await strikeAndClear(scene, { ...act, moment: untilMoment(scene), calm });
  const end = await untilEnd(stage, from, id);
  const runningOn = witness.runningOn();
  const spans = witness.spans();
  const lives = runningOn.length === 1;
  const view = lives ? await probe.settle(30_000).catch(() => undefined) : undefined;
  const memory = lives ? await stage.look(BOX, MEMORY_MS) : undefined;
  const died = lives ? undefined : end.outcome === 'done' ? to : from;
  const remains = await boxRemains(lab, stage.bare, [...runningOn, ...(died ? [died, to] : [])]);
  const connectionKept = lives ? view?.connectionKept === true : undefined;
  const seen = { spans, runningOn, memory, connectionKept, remains, disks: [] };
  const observed: CellObservation = { startedAtMs, ...fault, ...end, from, to, ...seen };
  const problems = judge(cell, expect, observed);
  const recovery = recoveryMs(cell, observed, {
    sourceJournal: source.lines().map(({ at }) => at),
    destinationJournal: destination.lines().map(({ at }) => at),
    traffic: [],
  });
  const gapMs = view?.clientGapMs;
  return playedOf(cell, observed, { problems, migration: id, recoveryMs: recovery, gapMs });
}
