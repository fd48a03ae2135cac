/** Waits for the moment at which a cell's fault strikes: the journals and the source's QEMU report. */
import { systemClock } from '../src/clock.ts';
import { hasDisks } from './cell.ts';
import { reachedWithDisks } from './disks/moment.ts';
import type { Scene } from './scene.ts';

const LOOK_MS = 2;
const MOMENT_MS = 40_000;

/** Resolves at the moment; false when the migration ended without it. */
export async function untilMoment(scene: Scene): Promise<boolean> {
  const start = systemClock.monotonicMs();
  const { phase } = scene.cell;
  // The switch is a matter of ms: no file is read on the way to it.
  if (phase === 'switchover' || phase === 'disks-switch') return untilStopped(scene);
  while (!reached(scene)) {
    if (scene.source.did('finish') || scene.source.has('undid')) return false;
    if (systemClock.monotonicMs() - start > MOMENT_MS) return false;
    await systemClock.sleep(LOOK_MS);
  }
  return true;
}

function passesOf({ witness, from }: Scene): number {
  return witness.events.filter((e) => e.host === from && e.name === 'MIGRATION_PASS').length;
}

function stoppedAt({ witness, from }: Scene): boolean {
  return witness.events.some((e) => e.host === from && e.name === 'STOP');
}

async function untilStopped(scene: Scene): Promise<boolean> {
  const { witness, from } = scene;
  if (stoppedAt(scene)) return true;
  return new Promise((resolve) => {
    const settle = (found: boolean): void => {
      clearTimeout(timer);
      forget();
      resolve(found);
    };
    const timer = setTimeout(() => settle(false), MOMENT_MS);
    const forget = witness.onEvent((event) => {
      if (event.host === from && event.name === 'STOP') settle(true);
    });
  });
}

function reached(scene: Scene): boolean {
  const { cell, from, to, witness, source, destination } = scene;
  if (hasDisks(cell)) return reachedWithDisks(scene);
  switch (cell.phase) {
    case 'checking':
      return cell.fault.includes('destination-mover')
        ? destination.moverPid() !== undefined
        : source.has('planned') && source.moverPid() !== undefined;
    case 'preparing':
      return cell.fault === 'kill-destination-qemu'
        ? witness.pid(to) !== undefined
        : source.did('assess');
    case 'first-round':
      return witness.traffic.some((seen) => seen.host === from && seen.transferred > 1024 ** 2);
    case 'later-round':
      return passesOf(scene) >= (cell.mode === 'hybrid' ? 2 : 3);
    case 'before-switch':
      if (cell.mode === 'cold') return source.did('arm');
      return cell.mode === 'precopy' ? passesOf(scene) >= 2 : source.has('decided');
    case 'switchover':
      return stoppedAt(scene);
    case 'after-commit':
      return (
        witness.events.some((e) => e.host === to && e.name === 'RESUME') || source.did('commit')
      );
    case 'cleanup':
      return source.did('verify');
    default:
      return false;
  }
}
