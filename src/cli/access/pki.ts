import { verb, type Verb } from '../verb.ts';
import {
  pkiInitSpec,
  pkiIssueSpec,
  pkiRenewSpec,
  pkiRevokeSpec,
  pkiRemoveSpec,
  pkiRotateCaSpec,
  pkiRotateSecretSpec,
} from './pki-specs.ts';

/** The verbs of `godwit pki`. */
export const PKI_VERBS: readonly Verb[] = [
  verb(pkiInitSpec, async () => ({ run: (await import('./pki-run.ts')).init })),
  verb(pkiIssueSpec, async () => ({ run: (await import('./pki-run.ts')).issueOne })),
  verb(pkiRenewSpec, async () => ({ run: (await import('./pki-run.ts')).renew })),
  verb(pkiRevokeSpec, async () => ({ run: (await import('./pki-run.ts')).revoke })),
  verb(pkiRemoveSpec, async () => ({ run: (await import('./pki-run.ts')).remove })),
  verb(pkiRotateSecretSpec, async () => ({ run: (await import('./pki-run.ts')).rotate })),
  verb(pkiRotateCaSpec, async () => ({ run: (await import('./rotate-ca.ts')).run })),
];
