import type { ChildProcess } from 'node:child_process';
import type { ControllerApi } from './fleet-controllers.ts';
import { hostNamed } from './fleet-names.ts';

export interface Watching {
  readonly load: ChildProcess;
  readonly hosts: number;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

/** ms. */
export async function timeRead(api: ControllerApi, read: number, hosts: number): Promise<number> {
  const begun = performance.now();
  await readOne(api, read, hosts);
  return performance.now() - begun;
}

/** What a person's page asks for, in turn. */
async function readOne(api: ControllerApi, read: number, hosts: number): Promise<void> {
  const index = (read * 7919) % hosts;
  const host = hostNamed(index);
  switch (read % 5) {
    case 0:
      return void (await api.hosts());
    case 1:
      return void (await api.guests());
    case 2:
      return void (await api.host({ params: { host } }));
    case 3:
      return void (await api.guest({ params: { guest: `g-${index}-3` } }));
    default:
      return void (await api.samples({ params: { host }, query: { span: 'sample' } }));
  }
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
}
