import type { TaskSight } from '../../migration/managed/task-sight.ts';
import { at, textAt, type XmlElement } from '../../formats/xml.ts';
import { defined } from '../../protocol/defined.ts';
import {
  localizedFault,
  refIn,
  sameRef,
  type Fault,
  type Ref,
  type ObjectContent,
} from './soap.ts';

/** State of a vCenter task (`Task.info`). Pure. */

/** Tasks that change a guest's host or datastore. */
const MOVES: ReadonlySet<string> = new Set([
  'VirtualMachine.migrate',
  'VirtualMachine.relocate',
  'Drm.ExecuteVMotionLRO',
]);
/** Godwit's orders use this; DRS uses another. */
const ORDERED = 'VirtualMachine.relocate';

export interface Task {
  readonly ref: Ref;
  readonly state: 'queued' | 'running' | 'success' | 'error' | 'unknown';
  readonly kind: string;
  /** Guest that it works on. */
  readonly entity: Ref | undefined;
  readonly queuedMs: number;
  readonly percent: number | undefined;
  readonly fault: Fault | undefined;
  readonly result: XmlElement | undefined;
}

export const TASK_PROPERTIES = ['info'];
const STATES = ['queued', 'running', 'success', 'error'] as const;

export function taskIn({ ref, properties }: ObjectContent): Task | undefined {
  const info = properties.get('info');
  if (info === undefined) return undefined;
  const said = textAt(info, 'state');
  const [error] = at(info, 'error');
  const [result] = at(info, 'result');
  const queuedMs = Date.parse(textAt(info, 'queueTime') ?? '');
  return {
    ref,
    state: STATES.find((each) => each === said) ?? 'unknown',
    kind: textAt(info, 'descriptionId') ?? '',
    entity: refIn(at(info, 'entity')[0]),
    queuedMs: Number.isNaN(queuedMs) ? 0 : queuedMs,
    percent: percentIn(textAt(info, 'progress')),
    fault: error === undefined ? undefined : localizedFault(error),
    result,
  };
}

function percentIn(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,3}$/.test(text)) return undefined;
  return Math.min(100, Number(text));
}

export function isUnderWay({ state }: Pick<Task, 'state'>): boolean {
  return state !== 'success' && state !== 'error';
}

/** It is moving a guest, whoever began it. */
export function isMoving(task: Pick<Task, 'state' | 'kind'>): boolean {
  return MOVES.has(task.kind) && isUnderWay(task);
}

/** It is a relocation of that guest; needed because anyone can write a mark with any task. */
export function isOrderFor(guest: Ref, { kind, entity }: Pick<Task, 'kind' | 'entity'>): boolean {
  return kind === ORDERED && sameRef(entity, guest);
}

/** First move since the time of the order, by the vCenter's clock. */
export function orderedSince(tasks: readonly Task[], sinceMs: number): Task | undefined {
  return tasks
    .filter(({ kind, queuedMs }) => kind === ORDERED && queuedMs >= sinceMs)
    .toSorted((left, right) => left.queuedMs - right.queuedMs)[0];
}

/** vSphere reports neither bytes nor downtime, so there are no figures. */
export function sightOf({ state, percent, fault }: Task): TaskSight {
  switch (state) {
    case 'queued':
    case 'running':
    case 'unknown':
      return { state: 'running', ...defined({ percent }) };
    case 'success':
      return { state: 'done' };
    case 'error':
      if (fault?.type === 'RequestCanceled') return { state: 'cancelled' };
      return { state: 'failed', reason: reasonOf(fault) };
  }
}

export function reasonOf(fault: Fault | undefined): string {
  if (fault === undefined) return 'vSphere does not say why';
  const { message, type } = fault;
  return (message === '' ? type : `${message} (${type})`).slice(0, 2048);
}
