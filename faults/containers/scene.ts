/** One migration of a container, as those see it who wait for its moment and who strike. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { runcRoot } from '../../lab/container/places.ts';
import { labHost, type Lab } from '../../lab/state.ts';
import type { Cell } from '../cell.ts';
import type { JournalTail } from '../journal-tail.ts';
import { BOX } from './plan.ts';
import type { ContainerWitness } from './witness.ts';
import { workerAt } from './workers.ts';

export interface ContainerScene {
  readonly cell: Cell;
  readonly lab: Lab;
  readonly from: string;
  readonly to: string;
  readonly witness: ContainerWitness;
  readonly source: JournalTail;
  readonly destination: JournalTail;
  /** The runc or the CRIU whose being there is the moment: looked for again, it may have ended. */
  worker: number | undefined;
}

const LOOK_MS = 2;
const MOMENT_MS = 60_000;

/** runc's directory of states on a host of the scene. */
function rootOn({ lab }: ContainerScene, host: string): string {
  return runcRoot(labHost(lab, host).stateDir);
}

/** Resolves at the moment; false when the migration ended without it. */
export async function untilMoment(scene: ContainerScene): Promise<boolean> {
  const start = systemClock.monotonicMs();
  while (!reached(scene)) {
    if (scene.source.did('finish') || scene.source.has('undid')) return false;
    if (systemClock.monotonicMs() - start > MOMENT_MS) return false;
    await systemClock.sleep(LOOK_MS);
  }
  return true;
}

function reached(scene: ContainerScene): boolean {
  const { cell, lab, from, to, witness, source, destination } = scene;
  switch (cell.phase) {
    case 'box-checking':
      return cell.fault.includes('destination-mover')
        ? destination.moverPid() !== undefined
        : source.has('planned') && source.moverPid() !== undefined;
    case 'box-preparing':
      return source.did('assess');
    case 'box-memory':
      // The source has a place for its dump, and the container is not stopped for it yet.
      return (
        source.did('arm') &&
        !witness.isFrozen(from) &&
        existsSync(path.join(labHost(lab, from).stateDir, 'containers', BOX, 'out', 'images'))
      );
    case 'box-dump':
      scene.worker = workerAt(rootOn(scene, from), 'checkpoint', cell.fault);
      return scene.worker !== undefined;
    case 'box-restore':
      scene.worker = workerAt(rootOn(scene, to), 'restore', cell.fault);
      return scene.worker !== undefined;
    case 'box-after-commit':
    case 'box-following':
      return source.did('commit');
    case 'box-cleanup':
      return source.did('verify');
    default:
      return false;
  }
}
