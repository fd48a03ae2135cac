import { lifeOf, type BootProcess } from '../../host/life.ts';
import type { HypervisorStatus } from '../port/direct.ts';
import type { Dispatch } from './dispatch.ts';
import type { HostContext } from './host-context.ts';
import type { LateSource } from './late-source.ts';
import { isFrozen } from './processes.ts';
import { isUpAgain } from './shutdown.ts';

/** A container at its source, and what of this process works on it. */
export interface Leaving {
  readonly name: string;
  readonly init: BootProcess;
  readonly dispatch: Dispatch | undefined;
  readonly late: LateSource | undefined;
  readonly cgroup: () => Promise<string>;
}

const ENDED = 'the mover that sent it has ended';

/** Where it stands, by what is written down of it and by what the kernel says. */
export async function sourceStatus(
  context: Pick<HostContext, 'records' | 'runc'>,
  { name, init, dispatch, late, cgroup }: Leaving,
  signal: AbortSignal,
): Promise<HypervisorStatus> {
  const life = lifeOf(init);
  const isGone = life.state === 'gone';
  const record = context.records.readSync(name);
  if (record?.down !== undefined) {
    const isDown = isGone && !(await isUpAgain(context, name, signal));
    return { run: isDown ? 'shut-down' : 'running', stream: 'none' };
  }
  if (isGone) return { run: 'gone', stream: 'none', reason: life.reason };
  const { stream = 'none', reason } = dispatch?.reported ?? {};
  const frozen = await isFrozen(await cgroup());
  const left = record?.leaving;
  if (left === 'sending' && record?.gpu !== undefined && dispatch?.isUnderWay === false) {
    return { run: 'paused', stream: 'failed', reason: 'the state of its GPUs is not given back' };
  }
  const run = frozen ? 'handed-over' : 'running';
  if (left === 'late') {
    const { stream: follows = 'postcopy-paused', reason: why = ENDED } = late?.reported ?? {};
    return { run, stream: follows, reason: why };
  }
  if (left === 'sent') return { run, stream: 'completed' };
  const stands = frozen || record?.gpu !== undefined;
  if (dispatch === undefined && left === 'sending' && stands) {
    return { run: 'paused', stream: 'failed', reason: ENDED };
  }
  const said = reason === undefined ? {} : { reason };
  return {
    run: frozen ? 'paused' : 'running',
    stream: frozen || dispatch ? stream : 'none',
    ...said,
  };
}
