import type { Hole } from '../hostile/holes/hole.ts';
import { isDrill, type DrillName } from './drills.ts';
import type { Plan } from './plan.ts';

/** A defect, and the drills that show it to the witness. */
export interface OwnersHole extends Hole {
  readonly shownBy: readonly DrillName[];
}

/** Known defects of the kinds that owners met. 100 runs of a seed must find each of them (`--hole NAME`). */
export const HOLES: Readonly<Record<string, OwnersHole>> = {
  path: {
    file: 'src/migration/image-identity.ts',
    from: 'return seen.strange.map(({ image, reason }) =>',
    to: 'return ([] as typeof seen.strange).map(({ image, reason }) =>',
    what: 'the file at the path of an image is taken for the file that the guest has open',
    shownBy: ['replaced'],
  },
  identity: {
    file: 'src/migration/image-identity.ts',
    from: "  if (now === undefined) return 'gone';\n",
    to: "  if (now === undefined) return 'gone';\n  if (Number.isFinite(0)) return 'same';\n",
    what: 'every file is the image whose identity was taken',
    shownBy: ['replaced later', 'replaced'],
  },
  writers: {
    file: 'src/migration/image-identity.ts',
    from: 'return others.length === 0 ? [] : [refuses(inUse(guest, image, others))];',
    to: 'return others.length >= 0 ? [] : [refuses(inUse(guest, image, others))];',
    what: 'an image is copied although another program of its host writes to it',
    shownBy: ['writer'],
  },
  agreement: {
    file: 'src/drivers/qemu/spec/disks/disks.ts',
    from: 'if (top !== undefined && this.#shared.has(',
    to: 'if (top === undefined && this.#shared.has(',
    what: 'a disk that guests share by agreement is copied',
    shownBy: ['agreement'],
  },
  once: {
    file: 'src/migration/guest-changes/compare.ts',
    from: '  return withoutConsequences(changes);\n}\n',
    to: '  return withoutConsequences(changes.slice(0, 0));\n}\n',
    what: 'the guest is described once, and no later change of it is found',
    shownBy: ['medium', 'snapshot'],
  },
  images: {
    file: 'src/migration/guest-changes/compare.ts',
    from: '  disk: {\n    verdicts: ALWAYS,',
    to: "  disk: {\n    verdicts: { added: 'harmless', removed: 'harmless', changed: 'harmless' },",
    what: 'a snapshot that is taken while memory moves is not noticed',
    shownBy: ['snapshot'],
  },
  devices: {
    file: 'src/migration/guest-changes/compare.ts',
    from: '  device: {\n    verdicts: ALWAYS,',
    to: "  device: {\n    verdicts: { added: 'harmless', removed: 'harmless', changed: 'harmless' },",
    what: 'a device that is plugged or unplugged while the guest moves is not noticed',
    shownBy: ['plugged'],
  },
  media: {
    file: 'src/migration/guest-changes/compare.ts',
    from: "copiesDisks ? 'rolls-back' : 'carried';\n\nconst ifCarried = ({ carriesMedia }: MoveFacts): ChangeVerdict =>\n  carriesMedia ? 'to-carry' : 'rolls-back';",
    to: "copiesDisks ? 'rolls-back' : 'carried';\n\nconst ifCarried = (_: MoveFacts): ChangeVerdict => 'harmless';",
    what: 'a medium that was changed while the guest moved is the first one again',
    shownBy: ['medium'],
  },
  pause: {
    file: 'src/migration/direct/source/hypervisor-transition.ts',
    from: "return kind === 'paused' && state.via === 'postcopy';",
    to: "return kind === 'paused';",
    what: 'a pause by the owner is taken for the stop at the switch',
    shownBy: ['paused'],
  },
  resumes: {
    file: 'src/mover/direct/source/guest/regain.ts',
    from: 'if (context.state().halted !== undefined) return {};\n  if (status.halt !== undefined && !mayBeOwnPause(status.halt)) return {};',
    to: 'if (status.halt !== undefined && !mayBeOwnPause(status.halt)) void 0;',
    what: 'a guest that its owner stopped is run again by the way back',
    shownBy: ['paused'],
  },
  states: {
    file: 'src/drivers/qemu/events.ts',
    from: 'return Object.hasOwn(HALTS, status) ? HALTS[status] : undefined;',
    to: "return Object.hasOwn(HALTS, status) ? 'paused' : undefined;",
    what: 'a guest that shut itself down or met an I/O error is taken for a paused one',
    shownBy: ['starved'],
  },
  ends: {
    file: 'src/drivers/qemu/events.ts',
    from: "    case 'guest-shutdown':\n      return 'shut-down';",
    to: "    case 'guest-shutdown':\n      return undefined;",
    what: 'a guest that shut itself down and ended its hypervisor is taken for a lost one',
    shownBy: ['ended'],
  },
};

/** Whether a run has an order that shows the defect. */
export function canShow({ shownBy }: OwnersHole, plan: Plan): boolean {
  return shownBy.some((name) => isDrill(name, plan));
}
