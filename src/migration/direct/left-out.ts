import { isCold, isOfStream } from './cold.ts';
import type { SourceState } from './source-state.ts';
import type { StepName } from './steps.ts';

type Deciding = Pick<SourceState, 'plan' | 'known' | 'stream' | 'via'>;

/** Whether a migration leaves a step out: it is passed over on the way forward, and has nothing to undo. */
export function isLeftOut(step: StepName, state: Deciding): boolean {
  if (isCold(state) && isOfStream(step)) return true;
  switch (step) {
    case 'seed':
      return !needsBackingFiles(state);
    case 'mirror':
      return !copiesDisks(state);
    case 'unplug':
      return !unplugsDevices(state);
    case 'balloon':
      return state.plan.settings.balloon === undefined;
    case 'drain':
      return state.stream === 'done' || state.via === 'precopy';
    default:
      return false;
  }
}

/** Something that the guest only reads lies where the destination does not see it. */
function needsBackingFiles({ known }: Deciding): boolean {
  return (known.bases ?? []).length > 0;
}

/** Some of the guest's disks lie where the destination does not see them. */
function copiesDisks({ known }: Deciding): boolean {
  return (known.copies ?? []).length > 0;
}

/** The guest has devices that it is without while it moves. */
function unplugsDevices({ known }: Deciding): boolean {
  return (known.unplugged ?? []).length > 0;
}
