/** One cell of a container, from a container that runs to the verdict. */
import { systemClock } from '../../src/clock.ts';
import { toGodwitError } from '../../src/errors.ts';
import { openProbe } from '../../src/lab/probe/probe.ts';
import type { Probe } from '../../src/lab/probe/probe.ts';
import { cellId, LASTS_MS } from '../cell.ts';
import type { Cell } from '../cell.ts';
import { chanceOf } from '../chance.ts';
import type { Expectation } from '../expectation.ts';
import type { Injector } from '../inject/injector.ts';
import { JournalTail } from '../journal-tail.ts';
import { darkMs, judge } from '../judge.ts';
import type { Observed } from '../judge.ts';
import { paceOf } from '../pace.ts';
import { MEMORY_MS, untilEnd } from '../play.ts';
import type { Played } from '../play.ts';
import { recoveryMs } from '../recovery.ts';
import type { Stage } from '../stage.ts';
import { injectorOf } from './inject.ts';
import { BOX } from './plan.ts';
import { boxRemains } from './remains.ts';
import { untilMoment } from './scene.ts';
import type { ContainerScene } from './scene.ts';
import { ContainerWitness } from './witness.ts';

/** Plays a cell on a container that runs; leaves the faults cleared and the agents up. */
export async function playContainer(
  stage: Stage,
  cell: Cell,
  expect: Expectation,
  seed: number,
): Promise<Played> {
  const start = systemClock.monotonicMs();
  const from = stage.guests.get(BOX) ?? '';
  const to = stage.lab.hosts.find((host) => host !== from) ?? '';
  const chance = chanceOf(seed, cellId(cell));
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

async function play(stage: Stage, act: Act): Promise<Omit<Played, 'tookMs'>> {
  const { cell, from, to, witness, probe, expect } = act;
  const { lab } = stage;
  const startedAtMs = systemClock.wallMs();
  const body = { guest: BOX, to, maxBandwidth: paceOf(cell).maxBandwidth };
  const { id } = await stage.agent(from).migrate({ body }, { deadlineMs: 30_000 });
  const [source, destination] = [
    new JournalTail(lab, from, id, 'source'),
    new JournalTail(lab, to, id, 'destination'),
  ];
  const fault = await strikeAndClear({ cell, lab, from, to, witness, source, destination }, act);
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
  const observed: Observed = { startedAtMs, ...fault, ...end, from, to, ...seen };
  const problems = judge(cell, expect, observed);
  const recovery = recoveryMs(cell, observed, {
    sourceJournal: source.lines().map(({ at }) => at),
    destinationJournal: destination.lines().map(({ at }) => at),
    traffic: [],
  });
  return {
    cell: cellId(cell),
    ok: problems.length === 0,
    problems,
    outcome: observed.outcome,
    migration: id,
    runningOn,
    ...(observed.error === undefined ? {} : { error: observed.error }),
    ...(observed.struck === undefined ? {} : { struck: observed.struck }),
    ...(recovery === undefined ? {} : { recoveryMs: recovery }),
    ...(observed.endedAtMs === undefined
      ? {}
      : { endMs: Math.round(observed.endedAtMs - observed.clearedAtMs) }),
    ...(runningOn.length === 0 ? {} : { darkMs: darkMs(observed) }),
    ...(view === undefined ? {} : { gapMs: Math.round(view.clientGapMs) }),
  };
}

async function strikeAndClear(
  scene: ContainerScene,
  { cell, injector, chance }: Act,
): Promise<Pick<Observed, 'struck' | 'missed' | 'struckAtMs' | 'clearedAtMs'>> {
  if (!(await untilMoment(scene))) {
    const now = systemClock.wallMs();
    return { struck: undefined, struckAtMs: now, clearedAtMs: now };
  }
  const { jitterMs } = paceOf(cell);
  if (jitterMs > 0) await systemClock.sleep(chance * jitterMs);
  const struckAtMs = systemClock.wallMs();
  const struck = await injector.strike(scene).catch((thrown: unknown) => {
    return { missed: toGodwitError(thrown).message };
  });
  if (typeof struck !== 'string') {
    return { struck: undefined, missed: struck.missed, struckAtMs, clearedAtMs: struckAtMs };
  }
  await systemClock.sleep(LASTS_MS[cell.fault]);
  const clearedAtMs = LASTS_MS[cell.fault] === 0 ? struckAtMs : systemClock.wallMs();
  await injector.clear();
  return { struck, struckAtMs, clearedAtMs };
}
