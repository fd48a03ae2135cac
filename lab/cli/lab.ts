import { verb, type Verb } from '../../src/cli/verb.ts';
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
} from './specs.ts';

/** The verbs of `godwit lab`. */
export const LAB_VERBS: readonly Verb[] = [
  verb(labUpSpec, async () => ({ run: (await import('./network.ts')).up })),
  verb(labDownSpec, async () => ({ run: (await import('./network.ts')).down })),
  verb(labStatusSpec, async () => ({ run: (await import('./network.ts')).status })),
  verb(labGuestSpec, async () => ({ run: (await import('./guest.ts')).start })),
  verb(labContainerSpec, () => import('./container.ts')),
  verb(labStopSpec, async () => ({ run: (await import('./guest.ts')).stop })),
  verb(labVerifySpec, async () => ({ run: (await import('./guest.ts')).verify })),
  verb(labClientSpec, async () => ({ run: (await import('./guest.ts')).client })),
  verb(labProbeSpec, () => import('./probe.ts')),
];
