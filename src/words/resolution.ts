import type { Answer, Resolution, SideView } from '../protocol/public/resolve.ts';
import { printable, type Painter } from './style.ts';

export function resolutionText(known: Resolution, paint: Painter): string {
  const { id, guest, from, to, here, there, unreachable, answers, unasked } = known;
  const other = here.host === from ? to : from;
  const lines = [
    `${id}: ${guest}, from ${from} to ${to}, is ${here.phase}`,
    ...(here.error === undefined ? [] : [`  ${printable(here.error.message)}`]),
    '',
    ...(known.manager === undefined
      ? [
          ...sideLines(here),
          ...(there === undefined
            ? [`${other}: not known (${printable(unreachable ?? 'it was not asked')})`]
            : sideLines(there)),
        ]
      : managerLines(known, known.manager)),
    ...(unasked ?? [])
      .filter(({ host }) => host !== other)
      .map(({ host, why }) => `${host}: not asked for the guest (${printable(why)})`),
    '',
    ...answers.flatMap((answer) => answerLines(answer, paint)),
    '',
    advice(known),
  ];
  return `${lines.join('\n')}\n`;
}

const RIGHT: Readonly<Record<SideView['right'], string>> = {
  held: 'it has the right to run it, and promised nothing',
  armed: 'armed: no commit was sent',
  committing: 'commit was sent; no answer is known',
  passed: 'the right to run has passed to the other host',
  abandoned: 'the epoch is closed: no commit is or will be sent',
  none: 'it has no right to run it',
  running: 'it was given the right to run it',
  refused: 'it has refused: it never runs it under this epoch',
};

const GUEST: Readonly<Record<SideView['hypervisor'], string>> = {
  none: 'nothing of the guest is here',
  running: 'the guest runs here',
  paused: 'the guest is paused here',
  incoming: 'it waits for the guest’s memory',
  'handed-over': 'the guest is paused here; everything was handed over',
  gone: 'its hypervisor has ended',
  unknown: 'its hypervisor lives, and was not asked',
};

function sideLines(side: SideView): string[] {
  const right =
    side.side === 'destination' && side.right === 'armed'
      ? 'armed: it has neither run it nor refused'
      : RIGHT[side.right];
  return [
    `${side.host} (${side.side}): ${GUEST[side.hypervisor]}`,
    `  ${right}${side.unsure ? '; restarted since, it does not know whether it ran' : ''}`,
    ...(side.moverAlive ? ['  a mover works on it'] : []),
  ];
}

function managerLines(
  { from, to, here }: Resolution,
  { at, busy, why }: NonNullable<Resolution['manager']>,
): string[] {
  const where = {
    source: `at ${from}`,
    destination: `at ${to}`,
    elsewhere: `neither at ${from} nor at ${to}`,
    unknown: 'not known',
  };
  const moves = { true: '; a task moves it now', false: '; nothing moves it', undefined: '' };
  return [
    `its manager: ${where[at]}${moves[`${busy}`]}`,
    ...(why === undefined ? [] : [`  ${printable(why)}`]),
    ...(here.moverAlive ? ['  a mover works on it'] : []),
  ];
}

function answerLines({ runAt, verdict, why, risks }: Answer, paint: Painter): string[] {
  const words = {
    safe: paint.green('safe'),
    risky: paint.red('risky'),
    unknown: paint.red('unknown'),
    waits: paint.yellow('waits'),
    wrong: paint.red('wrong'),
  };
  return [
    `--run-at ${runAt}: ${words[verdict]}: ${printable(why)}`,
    ...risks.map((risk) => `  ${printable(risk)}`),
  ];
}

function advice({ id, answers, fencing, here, there, safe, manager }: Resolution): string {
  const { phase } = here.side === 'source' ? here : (there ?? { phase: 'held' });
  if (phase !== 'held' && here.moverAlive)
    return 'It goes on by itself: there is nothing to decide.';
  if (phase !== 'held') return 'It is not held: there is nothing to decide.';
  if (safe !== undefined) return `The safe answer: godwit resolve ${id} --run-at ${safe}`;
  if (answers.every(({ verdict }) => verdict === 'safe')) {
    return 'Both answers are safe.';
  }
  if (manager !== undefined) {
    return 'Its manager does not settle it: look with the manager, then ask again.';
  }
  const hook = fencing ? ' The fencing hook is called first.' : '';
  return `No answer is safe: find out which host runs the guest before you decide.${hook}`;
}
