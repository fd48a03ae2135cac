import { verb, type Verb } from '../verb.ts';
import {
  labUpSpec,
  labDownSpec,
  labStatusSpec,
  labGuestSpec,
  labContainerSpec,
  labStopSpec,
  labVerifySpec,
  labClientSpec,
  labProbeSpec,
} from './lab-specs.ts';

/** The verbs of `godwit lab`. */
export const LAB_VERBS: readonly Verb[] = [
  verb(labUpSpec, async () => ({ run: (await import('./lab-network.ts')).up })),
  verb(labDownSpec, async () => ({ run: (await import('./lab-network.ts')).down })),
  verb(labStatusSpec, async () => ({ run: (await import('./lab-network.ts')).status })),
  verb(labGuestSpec, async () => ({ run: (await import('./lab-guest.ts')).start })),
  verb(labContainerSpec, () => import('./lab-container.ts')),
  verb(labStopSpec, async () => ({ run: (await import('./lab-guest.ts')).stop })),
  verb(labVerifySpec, async () => ({ run: (await import('./lab-guest.ts')).verify })),
  verb(labClientSpec, async () => ({ run: (await import('./lab-guest.ts')).client })),
  verb(labProbeSpec, () => import('./lab-probe.ts')),
];
