import { systemClock } from '../../src/clock.ts';
import { withDeadline } from '../../src/deadline.ts';
import { defined } from '../../src/protocol/defined.ts';
import { startLabController } from '../controller.ts';
import type { Lab } from '../state.ts';
import { startSimulator } from './simulator.ts';

const ADD_MS = 120_000;

/** What the lab's controller calls its vCenter. */
export const LAB_VCENTER = 'vc1';

/** Starts a vCenter and a controller, and adds the one to the other as `godwit manager add` does. */
export async function startVsphere(lab: Lab, signal: AbortSignal | undefined): Promise<void> {
  const place = await startSimulator(lab, signal);
  const controller = await startLabController(lab, signal);
  try {
    const body = { name: LAB_VCENTER, driver: 'vsphere', options: {}, ...place } as const;
    await controller.api.addManager({ body }, { deadlineMs: ADD_MS, ...defined({ signal }) });
    // The controller starts an agent for it, which answers a little later.
    await withDeadline('the agent of the simulated vCenter', ADD_MS, signal, async (inner) => {
      while (!(await isUp(controller, inner))) await systemClock.sleep(100, inner);
    });
  } finally {
    controller.close();
  }
}

async function isUp(
  { api }: Awaited<ReturnType<typeof startLabController>>,
  signal: AbortSignal,
): Promise<boolean> {
  const { managers } = await api.managers({}, { signal });
  return managers.some(({ name, state }) => name === LAB_VCENTER && state === 'up');
}
